#!/usr/bin/perl
# SPDX-License-Identifier: MIT
# Echo servers on Perl's own modules: loops.pl select|prefork PORT, until
# SIGTERM. One loop on IO::Select, or four children that share a listener.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my ($kind, $port) = @ARGV;
my $listener = IO::Socket::INET->new(Listen => 256, LocalPort => $port,
	LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";

$SIG{PIPE} = 'IGNORE';

sub loop_select {
	my $read = IO::Select->new($listener);
	my $write = IO::Select->new;
	my %waiting;

	$listener->blocking(0);
	$SIG{TERM} = sub { exit 0 };
	while (my ($can_read, $can_write) =
			IO::Select->select($read, $write)) {
		for my $sock (@{$can_read || []}) {
			if ($sock == $listener) {
				my $new = $listener->accept or next;
				$new->blocking(0);
				$read->add($new);
				next;
			}
			my $got = sysread($sock, my $data, 65536);
			next if !defined $got && $!{EAGAIN};
			$read->remove($sock);
			if (!$got) {
				close $sock;
				next;
			}
			$waiting{$sock} = $data;
			$write->add($sock);
		}
		for my $sock (@{$can_write || []}) {
			my $sent = syswrite($sock, $waiting{$sock});
			next if !defined $sent && $!{EAGAIN};
			$sent = length $waiting{$sock} unless defined $sent;
			substr($waiting{$sock}, 0, $sent, '');
			next if length $waiting{$sock};
			$write->remove($sock);
			$read->add($sock);
		}
	}
}

sub child {
	$SIG{TERM} = 'DEFAULT';
	while (my $sock = $listener->accept) {
		while (sysread($sock, my $data, 65536)) {
			my $at = 0;
			while ($at < length $data) {
				my $sent = syswrite($sock, $data,
					length($data) - $at, $at);
				last unless $sent;
				$at += $sent;
			}
		}
		close $sock;
	}
	exit 1;
}

sub loop_prefork {
	my %children;

	for (1 .. 4) {
		my $pid = fork;
		child() unless $pid;
		$children{$pid} = 1;
	}
	$SIG{TERM} = sub {
		kill TERM => keys %children;
		waitpid $_, 0 for keys %children;
		exit 0;
	};
	sleep 1 while 1;
}

$kind eq 'select' ? loop_select() : loop_prefork();
