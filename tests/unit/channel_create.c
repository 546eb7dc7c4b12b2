/* SPDX-License-Identifier: MIT */
/* fake-ring */
/*
 * Description: what a channel is made of when there is little to be had.
 */
#include <unistd.h>

#include "fake_channel.h"

static int create(unsigned int buffers)
{
	const struct mp_options options = {
		.size = sizeof(options), .batch = 4, .buffers = buffers,
		.lwsockets = 64,
	};

	return mp_create(&options, &ch);
}

static void start(void)
{
	channel_close();
	fake_reset();
}

static void plenty(void)
{
	start();
	CHECK_EQ(create(128), 0);
	CHECK(fake.entries >= 64);
	CHECK_EQ(fake_free_buffers(), 128);
	CHECK(chan_caps(ch)->lwsocket);
	CHECK(chan_caps(ch)->sockopt);
	CHECK_EQ(fake.caps.slots, 64);
	channel_close();
	CHECK_EQ(fake.rings_open, 0);
}

static void few_entries(void)
{
	start();
	fake.max_entries = 70;
	CHECK_EQ(create(128), 0);
	CHECK(fake.entries <= 70);
	CHECK(fake.entries >= 32);
	channel_close();
	CHECK_EQ(fake.rings_open, 0);
}

static void few_buffers(void)
{
	start();
	fake.max_buffers = 40;
	CHECK_EQ(create(128), 0);
	CHECK_EQ(fake_free_buffers(), 32);
	channel_close();
	CHECK_EQ(fake.rings_open, 0);
}

static void no_entries(void)
{
	start();
	fake.max_entries = 1;
	CHECK_EQ(create(128), -ENOMEM);
	CHECK_EQ(fake.rings_open, 0);
}

static void no_buffers(void)
{
	start();
	fake.max_buffers = 1;
	CHECK_EQ(create(128), -ENOMEM);
	CHECK_EQ(fake.rings_open, 0);
}

static void refused(void)
{
	static const int errors[] = { ENOSYS, EPERM, EMFILE };

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		start();
		fake.open_error = -errors[i];
		CHECK_EQ(create(128), -errors[i]);
		start();
		fake.buffers_error = -errors[i];
		CHECK_EQ(create(128), -errors[i]);
		CHECK_EQ(fake.rings_open, 0);
	}
	/* Set-up flags that the kernel does not know: as good as none. */
	start();
	fake.open_error = -EINVAL;
	CHECK_EQ(create(128), -ENOSYS);
}

/* A lightweight socket needs slots and the way back from them. */
static void without_install(void)
{
	start();
	fake.caps.install = false;
	CHECK_EQ(create(8), 0);
	CHECK(!chan_caps(ch)->lwsocket);
	CHECK(chan_caps(ch)->sockopt);
	start();
	fake.caps.slots = 0;
	CHECK_EQ(create(8), 0);
	CHECK(!chan_caps(ch)->lwsocket);
	start();
	fake.caps.sockopt = false;
	CHECK_EQ(create(8), 0);
	CHECK(chan_caps(ch)->lwsocket);
	CHECK(!chan_caps(ch)->sockopt);
}

static void moved(void)
{
	int fd;

	channel_open(4, 8);
	fd = chan_fd(ch);
	CHECK(fd >= 0);
	chan_moved(ch, MUST(dup(fd)));
	CHECK(chan_fd(ch) != fd);
	MUST(close(fd));
	channel_close();
}

static const struct unit_case cases[] = {
	{ "with all it asks for", plenty },
	{ "with less locked memory: fewer entries", few_entries },
	{ "with fewer buffers", few_buffers },
	{ "no entries to be had: ENOMEM, nothing left behind", no_entries },
	{ "no buffers to be had: ENOMEM, nothing left behind", no_buffers },
	{ "other errors are passed on at once", refused },
	{ "what a kernel lacks is said", without_install },
	{ "its descriptor can be moved", moved },
};

UNIT_MAIN(cases)
