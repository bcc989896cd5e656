/* What the bus may execute to become root: it becomes the launch helper, with nothing of the
 * caller's but the name of a service and the number of the user who asks. It knows no services.
 *
 * A script cannot be setuid, this program can. It is linked statically: it has no loader, and
 * there is nothing that an environment, or a library in some place, could change in it. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define PROGRAM "/etc/bus1/launch-helper" /* a link, from `bus1 install --system` */
#define LONGEST 255                       /* bytes of a bus name */
#define LAST 2                            /* standard descriptor */

/* As bridge/activation/helper.py has them. */
enum { SETUP_FAILED = 4, NAME_INVALID = 5, PERMISSIONS_INVALID = 7, EXEC_FAILED = 9, ARGUMENTS = 10 };

/* Something at 0, 1 and 2, and nothing else. */
static int keep_standard_descriptors(void) {
    int fd;
    do {
        fd = open("/dev/null", O_RDWR | O_NOCTTY);
        if (fd < 0) return -1;
    } while (fd <= LAST);
    return (int)syscall(SYS_close_range, LAST + 1U, ~0U, 0U);
}

/* As a service manager starts programs: a handler is lost anyway, and so is a timer's purpose. */
static void reset_signals(void) {
    struct itimerval never = {0};
    sigset_t none;
    setitimer(ITIMER_REAL, &never, NULL);
    setitimer(ITIMER_VIRTUAL, &never, NULL);
    setitimer(ITIMER_PROF, &never, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, number == SIGPIPE ? SIG_IGN : SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Root, and nobody's groups. */
static int become_root(void) {
    return setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0);
}

/* Could anybody but root have written it? */
static int is_roots(const char *path) {
    struct stat found;
    return !stat(path, &found) && S_ISREG(found.st_mode) && found.st_uid == 0 &&
           !(found.st_mode & (S_IWGRP | S_IWOTH));
}

int main(int count, char **words) {
    char caller[24];
    char *arguments[] = {PROGRAM, "--caller", caller, NULL, NULL};
    char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", NULL};

    if (geteuid() != 0) return PERMISSIONS_INVALID;
    if (count != 2) return ARGUMENTS;
    if (strlen(words[1]) > LONGEST) return NAME_INVALID;
    snprintf(caller, sizeof caller, "%lu", (unsigned long)getuid());
    arguments[3] = words[1];
    reset_signals();
    umask(022);
    if (keep_standard_descriptors() || chdir("/") || become_root()) return SETUP_FAILED;
    if (!is_roots(PROGRAM)) return PERMISSIONS_INVALID;
    execve(PROGRAM, arguments, environment);
    return EXEC_FAILED;
}
