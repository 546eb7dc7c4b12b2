/* SPDX-License-Identifier: MIT */
/*
 * MegaPipe channels: batched, completion-based I/O on many sockets and files.
 *
 * After S. Han et al., "MegaPipe: A New Programming Interface for Scalable
 * Network I/O", OSDI'12. A channel belongs to the thread that created it, a
 * handle to its channel. Functions return 0, a count or -errno and never touch
 * errno; what happened to a request is told by its completion. Another thread
 * is refused with -EPERM, a forked child with -ECHILD.
 *
 * Requests are queued, not executed. They reach the kernel together when as
 * many as *batch* are queued, when no completion is left and the caller waits,
 * or when the caller asks (mp_flush()): the paper's three flush rules.
 *
 * megapipe(3) is the manual.
 */
#ifndef MP_MEGAPIPE_H
#define MP_MEGAPIPE_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct mp_channel;
struct mp_handle;

/* How a channel is made. *size* says which members the caller knows. */
struct mp_options {
	size_t size;		/* sizeof(struct mp_options) */
	unsigned int batch;	/* queued requests that cause a flush */
	unsigned int buffers;	/* to lend, of 4 KiB; a power of two */
	unsigned int lwsockets;	/* lightweight sockets at most, 0: none */
	unsigned int flags;	/* none yet: 0 */
};

#define MP_OPTIONS_INIT { sizeof(struct mp_options), 32, 128, 16384, 0 }

/* Creates a channel for the calling thread; NULL: as MP_OPTIONS_INIT.
 * 0, or -ENOSYS (Linux before 6.1), -EPERM (io_uring is not allowed), -ENOMEM
 * (RLIMIT_MEMLOCK), -EMFILE, -EINVAL or -E2BIG (options). */
int mp_create(const struct mp_options *options, struct mp_channel **out);

/* Ends everything that is pending and frees the channel and its handles.
 * Descriptors stay open, lightweight sockets are closed. */
int mp_destroy(struct mp_channel *ch);

/* CPUs whose connections a listening socket is to take. */
struct mp_cpu_mask {
	uint64_t bits[4];
};

static inline void mp_cpu_add(struct mp_cpu_mask *mask, unsigned int cpu)
{
	if (cpu < 256)
		mask->bits[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

/* What keeps the partitions of a listening socket apart. */
enum mp_partition {
	MP_PARTITION_NONE,	/* no mask was given */
	MP_PARTITION_EBPF,	/* the CPU, balanced by load */
	MP_PARTITION_CBPF,	/* the CPU */
	MP_PARTITION_HASH,	/* the kernel's hash: the mask has no say */
	MP_PARTITION_SHARED	/* nothing: one queue for all channels */
};

/* A socket is a descriptor, or a number with this bit: a lightweight socket,
 * which only the channel that accepted it knows. */
#define MP_LWSOCKET 0x40000000

/* Makes a handle for a descriptor or lightweight socket. With a *cpu_mask* a
 * listening TCP socket gets a partition of its own: a second socket where
 * another channel has the first one. An enum mp_partition or -errno. */
int mp_register(struct mp_channel *ch, int fd, void *cookie,
		const struct mp_cpu_mask *cpu_mask, struct mp_handle **out);

/* Ends all requests of a handle; their completions never come. The socket or
 * file stays open and is the caller's. */
int mp_unregister(struct mp_handle *h);

/*
 * Requests. Each is answered by one completion, unless it says otherwise, and
 * those of one handle and direction are executed in their order. Memory that
 * is passed must stay until the completion.
 */

/* Accepts *count* connections (MP_FOREVER: all that come), each with a
 * completion whose result is a socket to register. */
#define MP_FOREVER 0xffffffffu
int mp_accept(struct mp_handle *h, unsigned int count, int is_lwsocket);

int mp_connect(struct mp_handle *h, const struct sockaddr *addr,
	       socklen_t len);

/* Reads what there is, up to *size*; 0 is the end. */
int mp_read(struct mp_handle *h, void *buf, size_t size);

/* Reads all that comes from a socket, into memory of the channel that is lent
 * to the caller: a completion for each piece, the last without *more*. */
int mp_read_stream(struct mp_handle *h);
int mp_buffer_release(struct mp_channel *ch, unsigned int buffer);

/* Writes all of it; less only if the next write would fail. */
int mp_write(struct mp_handle *h, const void *buf, size_t size);
int mp_writev(struct mp_handle *h, const struct iovec *iov,
	      unsigned int count);

/* shutdown(2), when all is written that was queued before it: SHUT_RDWR is
 * the paper's. The handle stays. */
int mp_disconnect(struct mp_handle *h, int how);

/* Closes the file or socket when all is written that was queued before it.
 * Its completion is the handle's last one. */
int mp_close(struct mp_handle *h);

/* Gives a lightweight socket a descriptor (close-on-exec), or says which one
 * the handle has. The handle goes on; mp_close() closes the descriptor. */
int mp_to_fd(struct mp_handle *h);

/* What a completion answers. */
enum mp_op {
	MP_OP_ACCEPT = 1,
	MP_OP_CONNECT,
	MP_OP_READ,
	MP_OP_READ_STREAM,
	MP_OP_WRITE,
	MP_OP_DISCONNECT,
	MP_OP_CLOSE
};

struct mp_completion {
	enum mp_op op;
	int result;		/* bytes, a new socket, 0, or -errno */
	void *cookie;		/* as registered */
	struct mp_handle *handle;
	void *data;		/* of a stream: the bytes, lent */
	unsigned int buffer;	/* ... what to release when they are read */
	unsigned int more;	/* ... another completion will come */
	unsigned int pending;	/* of an accept: connections still waiting */
	socklen_t peer_len;	/* ... who has connected, 0: not known */
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		uint64_t room[8];
	} peer;
	uint64_t reserved[2];
};

/* The next completion, waiting for it *timeout_ms* at most (-1: for ever).
 * 1, 0 when the time is over, or -errno; -EINTR for a signal. */
int mp_dispatch(struct mp_channel *ch, struct mp_completion *out,
		int timeout_ms);

/* As many as are there, up to *max*, waiting for the first one. */
int mp_dispatch_many(struct mp_channel *ch, struct mp_completion *out,
		     unsigned int max, int timeout_ms);

/* Hands the queued requests to the kernel. 0 or -errno. */
int mp_flush(struct mp_channel *ch);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
