/* A disk that answers with an error: while the file $FAIL_SWITCH is not empty, each write below $FAIL_BELOW fails with
 * the errno that it names. For LD_PRELOAD; what cannot be had otherwise in a test (EIO, EROFS, EDQUOT). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int wanted(int fd)
{
    char link[64], path[4096], text[16] = "";
    const char *below = getenv("FAIL_BELOW"), *name = getenv("FAIL_SWITCH");
    struct stat said;
    if (!below || !name || stat(name, &said) || !said.st_size)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, below, strlen(below)))
        return 0;
    int file = open(name, O_RDONLY);
    if (file < 0)
        return 0;
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    return got > 0 ? atoi(text) : 0;
}

#define REFUSING(type, name, parameters, arguments, wrong)                \
    type name parameters                                                  \
    {                                                                     \
        static type(*real) parameters;                                    \
        int error = wanted(fd);                                           \
        if (!real)                                                        \
            real = (type(*) parameters)dlsym(RTLD_NEXT, #name);           \
        if (error) {                                                      \
            errno = error;                                                \
            return wrong;                                                 \
        }                                                                 \
        return real arguments;                                            \
    }

REFUSING(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n), -1)
REFUSING(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at), (fd, data, n, at), -1)
REFUSING(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at), (fd, data, n, at), -1)
REFUSING(int, fsync, (int fd), (fd), -1)
REFUSING(int, fdatasync, (int fd), (fd), -1)
REFUSING(int, posix_fallocate, (int fd, off_t at, off_t n), (fd, at, n), error)
REFUSING(int, posix_fallocate64, (int fd, off64_t at, off64_t n), (fd, at, n), error)
