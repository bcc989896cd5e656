/* What libapparmor, libselinux and libaudit would be on another machine: for tests. A label, name or
   path with "denied" in it is denied, with "broken" in it cannot be asked; the last question is kept. */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int enabled = 1;
char question[65536];
size_t size;
uint32_t mask;

static int said(const char *word, const char *text, size_t length)
{
        return memmem(text, length, word, strlen(word)) != NULL;
}

/* libapparmor */

int aa_is_enabled(void)
{
        return enabled;
}

int aa_find_mountpoint(char **place)
{
        const char *given = getenv("FAKE_APPARMOR");

        *place = given ? strdup(given) : NULL;
        return given ? 0 : -1;
}

int aa_query_label(uint32_t m, char *query, size_t length, int *allow, int *audit)
{
        memcpy(query, "label", 6); /* as the real one does */
        memcpy(question, query, length);
        size = length;
        mask = m;
        if (said("broken", query, length)) {
                errno = ENOENT;
                return -1;
        }
        *allow = !said("denied", query, length);
        *audit = !*allow;
        return 0;
}

/* libselinux */

static int (*log_it)(int, const char *, ...);
static int (*about)(void *, uint16_t, char *, size_t);

int is_selinux_enabled(void)
{
        return enabled;
}

void selinux_set_callback(int kind, void *function)
{
        if (kind)
                about = function;
        else
                log_it = function;
}

int selinux_check_access(const char *source, const char *target, const char *class,
                         const char *permission, void *data)
{
        char text[200];

        size = snprintf(question, sizeof(question), "%s %s %s %s", source, target, class, permission);
        if (!said("denied", question, size))
                return 0;
        about(data, 7, text, sizeof(text));
        log_it(3, "%s denied number=%d %s\n", permission, -42, text);
        return -1;
}

/* libaudit */

int audit_open(void)
{
        const char *given = getenv("FAKE_AUDIT");

        return given ? open(given, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
}

int audit_log_user_avc_message(int fd, int kind, const char *text, const char *host,
                               const char *address, const char *terminal, unsigned int uid)
{
        return dprintf(fd, "%d uid=%u %s\n", kind, uid, text);
}
