/* A disk that fails when it is told to, and remembers what reached it.
 *
 * Preloaded into the server (LD_PRELOAD), it stands between SQLite and the C library for the files
 * of one database: TIDELOCK_DISK_DATABASE, the same with "-wal" and with "-journal". What goes
 * wrong is one line in the file TIDELOCK_DISK_FAULT, "KIND TIMES", looked at on every call; 0 times
 * is until the line changes:
 *
 *   none    nothing
 *   full    a write that would make the file longer fails with ENOSPC
 *   short   a write takes half of what it was given, and the next one fails with ENOSPC
 *   write   a write fails with EIO
 *   sync    a flush fails with EIO, whatever it has flushed
 *
 * With TIDELOCK_DISK_LOG every write, truncation, removal and flush is appended to that file in the
 * order in which it happened, so that a test can work out what a disk holds that loses power
 * between any two of them. See disk.rs for the form.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static char last_fault[64];
static long times_left;
static int half_written;

enum { DATABASE, WAL, JOURNAL, OTHER };

static int file_of_path(const char *path) {
    const char *database = getenv("TIDELOCK_DISK_DATABASE");
    size_t length = database ? strlen(database) : 0;
    if (!database || !path || strncmp(path, database, length) != 0)
        return OTHER;
    if (path[length] == 0)
        return DATABASE;
    if (strcmp(path + length, "-wal") == 0)
        return WAL;
    if (strcmp(path + length, "-journal") == 0)
        return JOURNAL;
    return OTHER;
}

static int file_of(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return OTHER;
    path[length] = 0;
    return file_of_path(path);
}

/* Whether the fault KIND strikes now; counts it if so. */
static int strikes(const char *kind) {
    const char *name = getenv("TIDELOCK_DISK_FAULT");
    char line[64] = "none 0";
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ssize_t length = read(fd, line, sizeof line - 1);
        line[length > 0 ? length : 0] = 0;
        close(fd);
    }
    char wanted[16] = "none";
    long times = 0;
    sscanf(line, "%15s %ld", wanted, &times);
    if (strcmp(line, last_fault) != 0) {
        strcpy(last_fault, line);
        times_left = times ? times : -1;
        half_written = 0;
    }
    if (strcmp(wanted, kind) != 0 || times_left == 0)
        return 0;
    if (times_left > 0)
        times_left--;
    return 1;
}

static void log_it(char what, int file, uint64_t offset, const void *bytes, size_t count) {
    static int fd = -1;
    const char *name = getenv("TIDELOCK_DISK_LOG");
    if (!name)
        return;
    if (fd < 0)
        fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    size_t length = 16 + (bytes ? count : 0);
    unsigned char *record = calloc(1, length);
    uint32_t count32 = bytes ? (uint32_t)count : 0;
    record[0] = (unsigned char)what;
    record[1] = (unsigned char)file;
    memcpy(record + 4, &count32, 4);
    memcpy(record + 8, &offset, 8);
    if (bytes)
        memcpy(record + 16, bytes, count);
    if (REAL(ssize_t, "write", int, const void *, size_t)(fd, record, length) != (ssize_t)length)
        abort();
    free(record);
}

static ssize_t write_at(int fd, const void *bytes, size_t count, off64_t offset) {
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    int file = file_of(fd);
    if (file == OTHER)
        return real(fd, bytes, count, offset);
    pthread_mutex_lock(&one_at_a_time);
    ssize_t written = -1;
    struct stat64 now;
    if (half_written) {
        half_written = 0;
        errno = ENOSPC;
    } else if (fstat64(fd, &now) == 0 && offset + (off64_t)count > now.st_size && strikes("full")) {
        errno = ENOSPC;
    } else if (strikes("write")) {
        errno = EIO;
    } else {
        if (strikes("short")) {
            count /= 2;
            half_written = 1;
        }
        written = real(fd, bytes, count, offset);
        if (written > 0)
            log_it('W', file, (uint64_t)offset, bytes, (size_t)written);
    }
    int error = errno;
    pthread_mutex_unlock(&one_at_a_time);
    errno = error;
    return written;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (file_of(fd) == OTHER)
        return REAL(ssize_t, "write", int, const void *, size_t)(fd, bytes, count);
    off64_t offset = lseek64(fd, 0, SEEK_CUR);
    ssize_t written = write_at(fd, bytes, count, offset);
    if (written > 0)
        lseek64(fd, offset + written, SEEK_SET);
    return written;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    return write_at(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    return write_at(fd, bytes, count, offset);
}

/* How often a flush of each file has failed, and how many of these failures each open file has
 * been told of: as on Linux, every one is told once, whoever met the failure. */
static unsigned failures[OTHER];
static unsigned told[65536];

static int flush(int fd, const char *name) {
    int (*real)(int) = REAL(int, name, int);
    int file = file_of(fd);
    if (file == OTHER || fd >= (int)(sizeof told / sizeof *told))
        return real(fd);
    pthread_mutex_lock(&one_at_a_time);
    int strikes_now = strikes("sync");
    if (strikes_now)
        failures[file]++;
    int failed = told[fd] != failures[file];
    told[fd] = failures[file];
    /* Whoever is told of a failure of before has lost nothing now. What somebody else has written
     * meanwhile waits for the next flush, as if there had been none. */
    if (strikes_now || !failed)
        log_it(failed ? 'F' : 'S', file, 0, NULL, 0);
    pthread_mutex_unlock(&one_at_a_time);
    if (failed)
        errno = EIO;
    return failed ? -1 : 0;
}

int fsync(int fd) { return flush(fd, "fsync"); }

int fdatasync(int fd) { return flush(fd, "fdatasync"); }

static int cut(int fd, off64_t length, const char *name) {
    int (*real)(int, off64_t) = REAL(int, name, int, off64_t);
    int file = file_of(fd);
    int done = real(fd, length);
    if (file != OTHER && done == 0) {
        pthread_mutex_lock(&one_at_a_time);
        log_it('T', file, (uint64_t)length, NULL, 0);
        pthread_mutex_unlock(&one_at_a_time);
    }
    return done;
}

int ftruncate64(int fd, off64_t length) { return cut(fd, length, "ftruncate64"); }

int ftruncate(int fd, off_t length) { return cut(fd, length, "ftruncate64"); }

int unlink(const char *path) {
    int file = file_of_path(path);
    int done = REAL(int, "unlink", const char *)(path);
    if (file != OTHER && done == 0) {
        pthread_mutex_lock(&one_at_a_time);
        log_it('U', file, 0, NULL, 0);
        pthread_mutex_unlock(&one_at_a_time);
    }
    return done;
}
