/* Kills the process it is preloaded into (LD_PRELOAD) at an exact write or flush of a database
 * file. The program under test is the one that ships, unchanged.
 *
 * DIE_AT names a file of two 64-bit integers that whoever kills writes to at any time: the event,
 * and how many of its kind are to come before it. 0 is no event. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum event { BEFORE_WRITE = 1, HALFWAY_THROUGH_WRITE, AFTER_WRITE, BEFORE_FLUSH, AFTER_FLUSH };

static volatile int64_t *armed;

__attribute__((constructor)) static void find_file(void)
{
	const char *name = getenv("DIE_AT");
	int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
	if (file < 0)
		return;
	void *shared = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (shared != MAP_FAILED)
		armed = shared;
	close(file);
}

/* The database itself and its log; not the lock file and not what is only shared memory. */
static int is_database(int file)
{
	char link[64], name[4096];
	snprintf(link, sizeof link, "/proc/self/fd/%d", file);
	ssize_t length = readlink(link, name, sizeof name - 1);
	if (length < 4)
		return 0;
	name[length] = 0;
	return !strcmp(name + length - 3, ".db") || !strcmp(name + length - 4, "-wal");
}

/* The event that is due with this call, if one is. */
static int64_t due(int file, int64_t first, int64_t last)
{
	if (!armed || armed[0] < first || armed[0] > last || !is_database(file))
		return 0;
	return armed[1]-- == 0 ? armed[0] : 0;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

#define WRITING(real_call, halfway_call)                                       \
	int64_t event = due(file, BEFORE_WRITE, AFTER_WRITE);                  \
	if (event == BEFORE_WRITE)                                             \
		die();                                                         \
	if (event == HALFWAY_THROUGH_WRITE) {                                  \
		ssize_t some = halfway_call;                                   \
		(void)some;                                                    \
		die();                                                         \
	}                                                                      \
	ssize_t written = real_call;                                           \
	if (event == AFTER_WRITE)                                              \
		die();                                                         \
	return written;

ssize_t write(int file, const void *bytes, size_t count)
{
	static ssize_t (*real)(int, const void *, size_t);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "write");
	WRITING(real(file, bytes, count), real(file, bytes, count / 2))
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
	static ssize_t (*real)(int, const void *, size_t, off_t);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pwrite");
	WRITING(real(file, bytes, count, offset), real(file, bytes, count / 2, offset))
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset)
{
	static ssize_t (*real)(int, const void *, size_t, off64_t);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
	WRITING(real(file, bytes, count, offset), real(file, bytes, count / 2, offset))
}

#define FLUSHING(name)                                                         \
	int name(int file)                                                     \
	{                                                                      \
		static int (*real)(int);                                       \
		if (!real)                                                     \
			*(void **)&real = dlsym(RTLD_NEXT, #name);             \
		int64_t event = due(file, BEFORE_FLUSH, AFTER_FLUSH);          \
		if (event == BEFORE_FLUSH)                                     \
			die();                                                 \
		int result = real(file);                                       \
		if (event == AFTER_FLUSH)                                      \
			die();                                                 \
		return result;                                                 \
	}

FLUSHING(fsync)
FLUSHING(fdatasync)
