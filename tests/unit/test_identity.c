/* test_identity.c - where two identities differ, and how a message says so. */
#include <stdlib.h>

#include "../../src/sweep/identity.h"
#include "../check.h"

static void the_same(void)
{
    ps_err err = PS_ERR_INIT;

    CHECK_INT(ps_identity_compare("", "", &err), 0);
    CHECK_INT(ps_identity_compare("a: 1\n", "a: 1\n", &err), 0);
    CHECK_INT(ps_identity_compare("a: 1\nb:\n\nc: x: y\n", "a: 1\nb:\n\nc: x: y\n", &err), 0);
    CHECK_INT(ps_identity_compare("a: 1\nb: 2", "a: 1\nb: 2\n", &err), 0); /* the last line's end is no value */
}

/* The field that a message names, and both values; every kind of difference in one place. */
static void one_field_differs(void)
{
    static const struct {
        const char *theirs, *ours, *words;
    } cases[] = {
        {"a: 1\nb: 2\n", "a: 1\nb: 3\n", "its b has '2', and this one's '3'"},
        {"a: 1\nb: 2\n", "a: 1\nb: 22\n", "its b has '2', and this one's '22'"},
        {"a: 12\n", "a: 1\n", "its a has '12', and this one's '1'"},
        {"a: \n", "a: 1\n", "its a has '', and this one's '1'"},
        {"a:\n", "a: 1\n", "its a has '', and this one's '1'"},
        {"a: 1\nb: 2\n", "a: 9\nb: 3\n", "its a has '1', and this one's '9'"}, /* the first that differs */
        {"weights m.safetensors: 1\n", "weights m.safetensors: 2\n", "its weights m.safetensors has '1'"},
        {"a: x: y\n", "a: x: z\n", "its a has 'x: y', and this one's 'x: z'"},
    };
    ps_err err = PS_ERR_INIT;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_ERR(ps_identity_compare(cases[i].theirs, cases[i].ours, &err), err, PS_EINPUT, cases[i].words);
}

/* A field that only one of them has. */
static void fields_differ(void)
{
    static const struct {
        const char *theirs, *ours, *words;
    } cases[] = {
        {"a: 1\n", "b: 1\n", "it has 'a' where this one has 'b'"},
        {"job: 1\n", "jobs: 1\n", "it has 'job' where this one has 'jobs'"},
        {"jobs: 1\n", "job: 1\n", "it has 'jobs' where this one has 'job'"},
        {"a: 1\n", "", "it has 'a' where this one has ''"},
        {"", "a: 1\n", "it has '' where this one has 'a'"},
        {"a: 1\nb: 2\n", "a: 1\nc: 2\nb: 2\n", "it has 'b' where this one has 'c'"},
        {"no colon\n", "a: 1\n", "it has 'no colon' where this one has 'a'"},
        {"a\n", "a: 1\n", "it has 'a' where this one has 'a'"},
    };
    ps_err err = PS_ERR_INIT;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        CHECK_ERR(ps_identity_compare(cases[i].theirs, cases[i].ours, &err), err, PS_EINPUT, cases[i].words);
}

/* Long values, such as a job's: the message shows the place where they differ, and no byte that steers a terminal. */
static void long_values(void)
{
    char theirs[4096], ours[4096];
    ps_err err = PS_ERR_INIT;

    for (int at = 0; at < 2000; at += 7) {
        snprintf(theirs, sizeof theirs, "program: 1\njob: %0*dOLD%0*d\n", at + 1, 0, 1500, 0);
        snprintf(ours, sizeof ours, "program: 1\njob: %0*dNEW%0*d\n", at + 1, 0, 1500, 0);
        CHECK_ERR(ps_identity_compare(theirs, ours, &err), err, PS_EINPUT, "OLD");
        CHECK(strstr(err.text, "NEW") && strstr(err.text, "job") && strlen(err.text) < 250);
    }
    CHECK_ERR(ps_identity_compare("a: \x1b[31m\n", "a: 1\n", &err), err, PS_EINPUT, "its a has");
    CHECK(!strchr(err.text, '\x1b'));
}

/* Values in letters of two bytes are not cut within one. */
static void letters_stay_whole(void)
{
    char theirs[512], ours[512], letters[201] = "";
    ps_err err = PS_ERR_INIT;

    for (int i = 0; i < 100; i++)
        memcpy(letters + 2 * i, "\u00e9", 3);
    for (int shift = 0; shift < 2; shift++) {
        snprintf(theirs, sizeof theirs, "a: %.*s%sx%s\n", shift, "-", letters, letters);
        snprintf(ours, sizeof ours, "a: %.*s%sy%s\n", shift, "-", letters, letters);
        CHECK_ERR(ps_identity_compare(theirs, ours, &err), err, PS_EINPUT, "its a has '...\u00e9");
        CHECK(!strstr(err.text, "\\x") && strstr(err.text, "\u00e9...'"));
    }
}

/* Jobs are compared key by key: the key, the pair and both values are named, and `output` does not count. */
static void jobs_differ(void)
{
    static const struct {
        const char *theirs, *ours, *words; /* NULL: they are the same */
    } cases[] = {
        {"{\"a\":1,\"output\":\"x\"}", "{\"a\":1,\"output\":\"y\"}", NULL},
        {"{\"a\":1,\"output\":\"x\"}", "{\"a\":1}", NULL},
        {"{\"a\":1}", "{\"a\":1,\"heads\":\"all\"}", NULL}, /* a version before that key ran with its default */
        {"{\"a\":1}", "{\"a\":1,\"heads\":[3]}", "its job has heads: \"all\", and this one's has [3]"},
        {"{\"a\":1}", "{\"a\":2}", "its job has a: 1, and this one's has 2"},
        {"{\"a\":1}", "{\"a\":1,\"b\":[2]}", "its job has b: none, and this one's has [2]"},
        {"{\"a\":1,\"b\":[2]}", "{\"a\":1}", "its job has b: [2], and this one's has none"},
        {"{\"pairs\":[{\"id\":\"p\",\"answer\":\"x\"}]}", "{\"pairs\":[{\"id\":\"p\",\"answer\":\"y\"}]}",
         "its job has, in pair 'p', answer: \"x\", and this one's has \"y\""},
        {"{\"pairs\":[{\"id\":\"p\",\"output\":1}]}", "{\"pairs\":[{\"id\":\"p\"}]}", "in pair 'p', output: 1"},
        {"{\"pairs\":[{\"id\":\"p\"}]}", "{\"pairs\":[{\"id\":\"p\"},{\"id\":\"q\"}]}", "no pair 'q'"},
        {"{\"pairs\":[{\"id\":\"p\"},{\"id\":\"q\"}]}", "{\"pairs\":[{\"id\":\"p\"}]}", "has a pair 'q'"},
        {"{\"pairs\":[{\"id\":\"p\"}]}", "{\"pairs\":[{\"id\":\"q\"}]}", "has pair 'p' where this one's has 'q'"},
        {"{\"pairs\":[{\"id\":\"p\"}]}", "{}", "has a pair 'p'"},
        {"{\"pairs\":7}", "{\"pairs\":[]}", "its job has pairs: 7, and this one's has []"},
        {"[1]", "[2]", "its job has '[1]', and this one's '[2]'"},
    };
    char theirs[300], ours[300];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ps_err err = PS_ERR_INIT;
        snprintf(theirs, sizeof theirs, "job: %s\nb: 1\n", cases[i].theirs);
        snprintf(ours, sizeof ours, "job: %s\nb: 1\n", cases[i].ours);
        if (cases[i].words)
            CHECK_ERR(ps_identity_compare(theirs, ours, &err), err, PS_EINPUT, cases[i].words);
        else
            CHECK_INT(ps_identity_compare(theirs, ours, &err), 0);
    }
}

static void without_the_program(void)
{
    CHECK_STR(ps_identity_of_job("program: 1\njob: x\n"), "job: x\n");
    CHECK_STR(ps_identity_of_job("program: 1\n"), "");
    CHECK_STR(ps_identity_of_job("program"), "program");
    CHECK_STR(ps_identity_of_job(""), "");
}

int main(void)
{
    RUN(the_same);
    RUN(one_field_differs);
    RUN(fields_differ);
    RUN(long_values);
    RUN(letters_stay_whole);
    RUN(jobs_differ);
    RUN(without_the_program);
    return check_done();
}
