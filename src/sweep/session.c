/* session.c - write a session's three lines; warn where they differ from the last session's. */
#include "session.h"

#include <string.h>

#include "patchsweep/host.h"
#include "patchsweep/log.h"

#define BUILD "build: "

void ps_session_write(ps_text *out, const char *command, const char *build, const char *machine)
{
    char utc[21];

    ps_utc(utc);
    ps_text_printf(out, "%s %s\n" BUILD "%s\n%s", utc, command ? command : "patchsweep run", build, machine);
}

/* Find the line before `at`, which is the beginning of a line or the end of the text. */
static const char *line_before(const char *text, const char *at)
{
    if (at > text)
        at--; /* the newline of the line before; at the end of the text, the last character */
    while (at > text && at[-1] != '\n')
        at--;
    return at;
}

void ps_session_warn(const char *earlier, const char *build, const char *machine)
{
    if (!*earlier)
        return;
    const char *last = line_before(earlier, earlier + strlen(earlier)), *before = line_before(earlier, last);
    size_t n = strcspn(before, "\n");

    if (strcmp(last, machine))
        ps_warn("this run resumes on %s; it was on %s before, and their last bits may differ", machine, last);
    if (strncmp(before, BUILD, strlen(BUILD)))
        ps_warn("this run resumes with %s; the build of its last session is unknown, and their last bits may differ", build);
    else if (n != strlen(BUILD) + strlen(build) || strncmp(before + strlen(BUILD), build, strlen(build)))
        ps_warn("this run resumes with %s; it was begun with %.*s, and their last bits may differ", build,
                (int)(n - strlen(BUILD)), before + strlen(BUILD));
}

void ps_session_describe(const ps_cores *cores, const ps_backend *backend, bool same_bits)
{
    ps_info("%s", cores->text);
    for (int i = 0; i < PS_CORES_ADVICE; i++)
        if (cores->advice[i][0])
            ps_warn("%s", cores->advice[i]);
    if (ps_backend_advice(backend))
        ps_warn("%s", ps_backend_advice(backend));
    if (!backend->same_bits)
        ps_warn("the last bits of these results depend on the number of ranks, --memory and --panel-rows, because backend %s "
                "computes a row differently beside other rows; --set backend=cpu avoids that", backend->ops.name);
    else if (!same_bits)
        ps_warn("the last bits of these results depend on which rank computes what, because the ranks have processors of "
                "different kinds");
}
