/* opt.c - parse long and short options by table. */
#include "opt.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "patchsweep/log.h"
#include "patchsweep/text.h"

#define MAX_NAMES 64

static void print_option(const ps_opt *opt)
{
    char left[80];
    const char *line = opt->help;

    snprintf(left, sizeof left, "%s%c%s --%s%s%s", opt->letter ? "-" : " ", opt->letter ? opt->letter : ' ',
             opt->letter ? "," : " ", opt->name, opt->arg ? " " : "", opt->arg ? opt->arg : "");
    printf("  %-26s", left);
    if (strlen(left) > 25)
        printf("\n  %-26s", "");
    for (const char *end; (end = strchr(line, '\n')); line = end + 1)
        printf(" %.*s\n  %-26s", (int)(end - line), line, "");
    printf(" %s\n", line);
}

static void print_help(const ps_usage *usage)
{
    static const ps_opt help = {'h', "help", PS_OPT_FLAG, NULL, NULL, "show this text"};

    printf("usage: %s\n\n%s\n\noptions:\n", usage->synopsis, usage->about);
    for (const ps_opt *opt = usage->opts; opt->name; opt++)
        print_option(opt);
    print_option(&help);
    if (usage->more)
        printf("\n%s\n", usage->more);
}

static int store(const ps_opt *opt, const char *value, ps_err *err)
{
    char *end;

    switch (opt->type) {
    case PS_OPT_FLAG:
        *(bool *)opt->target = true;
        return 0;
    case PS_OPT_STRING:
        *(const char **)opt->target = value;
        return 0;
    case PS_OPT_INT:
        errno = 0;
        *(long *)opt->target = strtol(value, &end, 10);
        if (end == value || *end || errno)
            return ps_err_set(err, PS_EINPUT, "--%s: '%s' is not a whole number", opt->name, value);
        return 0;
    case PS_OPT_AMOUNT: {
        double amount = strtod(value, &end);
        if (end == value || *end || !(amount >= 0) || isinf(amount))
            return ps_err_set(err, PS_EINPUT, "--%s: '%s' is not a non-negative number; write it as 1.5", opt->name, value);
        *(double *)opt->target = amount;
        return 0;
    }
    case PS_OPT_LIST: {
        ps_opt_list *list = opt->target;
        if (list->n == sizeof list->at / sizeof *list->at)
            return ps_err_set(err, PS_EINPUT, "--%s: given more than %zu times", opt->name, list->n);
        list->at[list->n++] = value;
        return 0;
    }
    }
    return 0;
}

static int unknown(const ps_usage *usage, const char *word, ps_err *err)
{
    const char *names[MAX_NAMES];
    size_t n = 0;

    for (const ps_opt *opt = usage->opts; opt->name && n < MAX_NAMES; opt++)
        names[n++] = opt->name;
    const char *near = word[1] == '-' ? ps_nearest(word + 2, names, n) : NULL;
    if (near)
        return ps_err_set(err, PS_EINPUT, "unknown option '%s'; did you mean '--%s'?", word, near);
    return ps_err_set(err, PS_EINPUT, "unknown option '%s'; see --help", word);
}

/* Find the row of --name, --name=value or -x.  *value is set for the second form. */
static const ps_opt *find(const ps_usage *usage, const char *word, const char **value)
{
    *value = NULL;
    for (const ps_opt *opt = usage->opts; opt->name; opt++) {
        size_t n = strlen(opt->name);
        if (word[1] != '-' && opt->letter == word[1] && !word[2])
            return opt;
        if (word[1] != '-' || strncmp(word + 2, opt->name, n))
            continue;
        if (word[2 + n] == '=')
            *value = word + 3 + n;
        if (word[2 + n] == '=' || !word[2 + n])
            return opt;
    }
    return NULL;
}

int ps_opt_parse(const ps_usage *usage, int argc, char **argv, int *n_args, ps_err *err)
{
    bool ended = false;

    *n_args = 0;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        const char *value;
        if (ended || word[0] != '-' || !word[1]) {
            argv[(*n_args)++] = word;
            continue;
        }
        if (!strcmp(word, "--")) {
            ended = true;
            continue;
        }
        if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
            print_help(usage);
            return 1;
        }
        const ps_opt *opt = find(usage, word, &value);
        if (!opt)
            return unknown(usage, word, err);
        if (opt->type == PS_OPT_FLAG && value)
            return ps_err_set(err, PS_EINPUT, "--%s takes no value", opt->name);
        if (opt->type != PS_OPT_FLAG && !value && ++i == argc)
            return ps_err_set(err, PS_EINPUT, "%s needs a value: %s", word, opt->arg);
        if (store(opt, value || opt->type == PS_OPT_FLAG ? value : argv[i], err) < 0)
            return -1;
    }
    return 0;
}

int ps_fail(const ps_err *err)
{
    ps_error("%s", err->text);
    return err->code;
}
