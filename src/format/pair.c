/*
 * pair.c - from two prompts to two aligned rows of tokens.
 *
 *     prompt --tokenizer--> tokens --check--> ids, first difference --spans--> roles
 *
 * A sweep patches position t of one prompt with position t of the other, so both must have as many tokens, and differ
 * somewhere.  Prompts given as token ids are used as they are, and have no placeholders.  The strings of a row (token,
 * piece, role, span) are in one block, after their pointers.
 */
#include "patchsweep/pair.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"

/* One prompt, being made into a row. */
typedef struct row {
    ps_tokens tokens;
    ptrdiff_t *owner; /* [n] the span a token belongs to, or -1 */
    bool given;       /* as ids */
} row;

/* ---- rows ---- */

static int copy_ids(row *r, const ps_prompt *prompt, ps_err *err)
{
    r->given = true;
    r->tokens.at = ps_calloc(prompt->n_ids, sizeof *r->tokens.at, err);
    if (!r->tokens.at)
        return -1;
    r->tokens.n = r->tokens.cap = prompt->n_ids;
    for (size_t i = 0; i < prompt->n_ids; i++)
        r->tokens.at[i].id = prompt->ids[i];
    return 0;
}

static int check_range(const row *r, int64_t vocab, ps_err *err)
{
    if (r->tokens.n == 0)
        return ps_err_set(err, PS_EINPUT, "has no tokens; write some text");
    if (r->tokens.n > INT32_MAX)
        return ps_err_set(err, PS_EINPUT, "has %zu tokens, more than can be counted", r->tokens.n);
    for (size_t i = 0; i < r->tokens.n; i++)
        if (r->tokens.at[i].id < 0 || r->tokens.at[i].id >= vocab)
            return ps_err_set(err, PS_EINPUT,
                              "token %zu has id %d, outside the model's vocabulary of %lld; is the "
                              "tokenizer another model's?",
                              i, (int)r->tokens.at[i].id, (long long)vocab);
    return 0;
}

/* Count the bytes that a token and a span have in common. */
static size_t overlap(const ps_token *token, const ps_job_span *span)
{
    size_t start = token->start > span->start ? token->start : span->start;
    size_t end = token->end < span->end ? token->end : span->end;

    return end > start ? end - start : 0;
}

/* Give each token to the span with which it shares most bytes: " Albert" belongs to the subject, although its space
 * comes from the template. */
static int find_owners(row *r, const ps_prompt *prompt, ps_err *err)
{
    r->owner = ps_malloc(r->tokens.n, sizeof *r->owner, err);
    if (!r->owner)
        return -1;
    for (size_t i = 0; i < r->tokens.n; i++) {
        size_t most = 0;
        r->owner[i] = -1;
        for (size_t s = 0; s < prompt->n_spans; s++) {
            size_t shared =
                r->tokens.at[i].added ? 0 : overlap(&r->tokens.at[i], &prompt->spans[s]);
            if (shared > most) {
                most = shared;
                r->owner[i] = (ptrdiff_t)s;
            }
        }
    }
    return 0;
}

static int read_row(row *r, const ps_prompt *prompt, const ps_tokenizer *tokenizer, int64_t vocab,
                    ps_err *err)
{
    if (!prompt->text) {
        if (copy_ids(r, prompt, err) < 0)
            return -1;
    } else if (!tokenizer)
        return ps_err_set(err, PS_EINPUT,
                          "is text, and the model has no tokenizer.json; give "
                          "'clean_ids' and 'corrupt_ids'");
    else if (ps_tokenizer_encode(tokenizer, prompt->text, prompt->n_bytes, true, &r->tokens, err) <
             0)
        return -1;
    if (check_range(r, vocab, err) < 0)
        return -1;
    return find_owners(r, prompt, err);
}

static void release_row(row *r)
{
    ps_tokens_release(&r->tokens);
    ps_free(r->owner);
}

/* ---- alignment ---- */

static size_t first_difference(const row rows[PS_N_WHICH])
{
    const ps_tokens *a = &rows[PS_CLEAN].tokens, *b = &rows[PS_CORRUPT].tokens;
    size_t i = 0;

    while (i < a->n && i < b->n && a->at[i].id == b->at[i].id)
        i++;
    return i;
}

/* Append what `id` decodes to, made printable, or its number without a tokenizer. */
static void show_token(const ps_tokenizer *tokenizer, int32_t id, ps_text *out)
{
    ps_text raw = {0};
    char shown[48];

    if (tokenizer) {
        ps_tokenizer_decode(tokenizer, id, &raw);
        ps_printable(shown, sizeof shown, ps_text_str(&raw));
    } else
        snprintf(shown, sizeof shown, "%d", (int)id);
    ps_text_puts(out, shown);
    ps_text_release(&raw);
}

/* Append a few tokens around position `at`: "...| with| Albert| Einstein|?|..." */
static void show_around(const row *r, size_t at, const ps_tokenizer *tokenizer, ps_text *out)
{
    size_t first = at > 3 ? at - 3 : 0, end = first + 9 < r->tokens.n ? first + 9 : r->tokens.n;

    ps_text_puts(out, first ? "...|" : "|");
    for (size_t i = first; i < end; i++) {
        show_token(tokenizer, r->tokens.at[i].id, out);
        ps_text_puts(out, "|");
    }
    ps_text_puts(out, end < r->tokens.n ? "..." : "");
}

static int unequal(const row rows[PS_N_WHICH], const ps_tokenizer *tokenizer, ps_err *err)
{
    ps_text shown[PS_N_WHICH] = {{0}, {0}};
    size_t at = first_difference(rows);

    for (int w = 0; w < PS_N_WHICH; w++)
        show_around(&rows[w], at, tokenizer, &shown[w]);
    ps_err_set(
        err, PS_EINPUT,
        "clean has %zu tokens, corrupt %zu; they must be equally many: from position %zu on they "
        "differ, clean %s corrupt %s; choose words of as many tokens",
        rows[PS_CLEAN].tokens.n, rows[PS_CORRUPT].tokens.n, at, ps_text_str(&shown[PS_CLEAN]),
        ps_text_str(&shown[PS_CORRUPT]));
    for (int w = 0; w < PS_N_WHICH; w++)
        ps_text_release(&shown[w]);
    return -1;
}

static int align(ps_pair *pair, const row rows[PS_N_WHICH], const ps_tokenizer *tokenizer,
                 ps_err *err)
{
    size_t n = rows[PS_CLEAN].tokens.n, at = first_difference(rows);

    if (rows[PS_CORRUPT].tokens.n != n)
        return unequal(rows, tokenizer, err);
    if (at == n)
        return ps_err_set(err, PS_EINPUT,
                          "clean and corrupt are the same %zu tokens, so that there is "
                          "nothing to patch; change one of them",
                          n);
    pair->n_positions = (int32_t)n;
    pair->first_difference = (int32_t)at;
    for (int w = 0; w < PS_N_WHICH; w++) {
        pair->ids[w] = ps_malloc(n, sizeof *pair->ids[w], err);
        if (!pair->ids[w])
            return -1;
        for (size_t i = 0; i < n; i++)
            pair->ids[w][i] = rows[w].tokens.at[i].id;
    }
    return 0;
}

/* ---- strings ---- */

/* Make an array of the n strings in `text`, each of which ends with a NUL.  The strings are in the array's block. */
static char **pack(const ps_text *text, size_t n, ps_err *err)
{
    if (ps_text_ok(text, err) < 0)
        return NULL;
    char **out = ps_malloc(n * sizeof *out + text->n, 1, err);
    if (!out)
        return NULL;
    char *at = memcpy(out + n, text->bytes, text->n);
    for (size_t i = 0; i < n; i++, at += strlen(at) + 1)
        out[i] = at;
    return out;
}

static void add_string(ps_text *text, const char *s)
{
    ps_text_add(text, s, strlen(s) + 1);
}

/* Append what `id` decodes to, with NULs made visible. */
static void add_decoded(const ps_tokenizer *tokenizer, int32_t id, ps_text *out)
{
    ps_text raw = {0};

    if (tokenizer)
        ps_tokenizer_decode(tokenizer, id, &raw);
    for (size_t i = 0; i < raw.n; i++)
        if (raw.bytes[i])
            ps_text_add(out, raw.bytes + i, 1);
        else
            ps_text_puts(out, "\xe2\x90\x80"); /* U+2400 */
    out->failed |= raw.failed;
    ps_text_add(out, "", 1);
    ps_text_release(&raw);
}

static int name_tokens(ps_pair *pair, int w, const ps_tokenizer *tokenizer, ps_err *err)
{
    ps_text tokens = {0}, pieces = {0};

    for (int32_t i = 0; i < pair->n_positions; i++) {
        int32_t id = pair->ids[w][i];
        const char *piece = tokenizer ? ps_tokenizer_piece(tokenizer, id) : NULL;
        add_decoded(tokenizer, id, &tokens);
        add_string(&pieces, piece ? piece : "");
    }
    pair->token[w] = pack(&tokens, (size_t)pair->n_positions, err);
    if (pair->token[w])
        pair->piece[w] = pack(&pieces, (size_t)pair->n_positions, err);
    ps_text_release(&tokens);
    ps_text_release(&pieces);
    return pair->piece[w] ? 0 : -1;
}

/* ---- roles ---- */

static const char *role_of(const row *r, const ps_prompt *prompt, size_t i,
                           const ps_tokenizer *tokenizer)
{
    const ps_token *token = &r->tokens.at[i];

    if (r->owner[i] >= 0)
        return prompt->spans[r->owner[i]].name;
    if (i + 1 == r->tokens.n)
        return "last";
    if (token->added ||
        (i == 0 && r->given && tokenizer && ps_tokenizer_is_special(tokenizer, token->id)))
        return "bos";
    return "text";
}

/* Name the place of token i within its placeholder. */
static const char *span_of(const row *r, size_t i)
{
    ptrdiff_t own = r->owner[i];
    bool first = i == 0 || r->owner[i - 1] != own,
         last = i + 1 == r->tokens.n || r->owner[i + 1] != own;

    if (own < 0)
        return "";
    return first && last ? "only" : first ? "first" : last ? "last" : "middle";
}

static const char *owner_name(const row *r, const ps_prompt *prompt, size_t i)
{
    return r->owner[i] < 0 ? "" : prompt->spans[r->owner[i]].name;
}

static int name_roles(ps_pair *pair, const row rows[PS_N_WHICH], const ps_tokenizer *tokenizer,
                      ps_err *err)
{
    const row *clean = &rows[PS_CLEAN];
    const ps_prompt *prompts = pair->job->prompt;
    ps_text roles = {0}, spans = {0};
    size_t n = (size_t)pair->n_positions;

    for (size_t i = 0; i < n; i++) {
        add_string(&roles, role_of(clean, &prompts[PS_CLEAN], i, tokenizer));
        add_string(&spans, span_of(clean, i));
        pair->n_misaligned += 0 != strcmp(owner_name(clean, &prompts[PS_CLEAN], i),
                                          owner_name(&rows[PS_CORRUPT], &prompts[PS_CORRUPT], i));
    }
    pair->role = pack(&roles, n, err);
    if (pair->role)
        pair->span = pack(&spans, n, err);
    ps_text_release(&roles);
    ps_text_release(&spans);
    return pair->span ? 0 : -1;
}

/* ---- answer and foil ---- */

/* An answer or foil: as given in the job, and where its token is stored. */
typedef struct target {
    const char *key, *text; /* text NULL: `given` counts */
    int64_t given;          /* -1: there is none */
    int32_t *id;
    char **token;
    bool *cut;
    char **spaced;
    int32_t *spaced_id;
} target;

static int encode_target(const target *to, const ps_tokenizer *tokenizer, ps_err *err)
{
    ps_tokens tokens = {0};
    int rc = -1;

    if (!tokenizer)
        return ps_err_set(err, PS_EINPUT,
                          "is text, and the model has no tokenizer.json; give '%s_id'", to->key);
    if (ps_tokenizer_encode(tokenizer, to->text, strlen(to->text), false, &tokens, err) < 0)
        goto out;
    if (tokens.n == 0) {
        ps_err_set(err, PS_EINPUT, "has no tokens; write some text");
        goto out;
    }
    *to->id = tokens.at[0].id;
    *to->cut = tokens.n > 1;
    rc = 0;
out:
    ps_tokens_release(&tokens);
    return rc;
}

/* Whether a space seems to be missing between a prompt and a text behind it: a word, or a mark that ends a phrase,
 * meets a word. */
static bool lacks_space(const ps_prompt *prompt, const char *text)
{
    unsigned char last = prompt->text && prompt->n_bytes ? (unsigned char)prompt->text[prompt->n_bytes - 1] : ' ';

    return (isalnum(last) || strchr(".,;:?!)", last)) && isalnum((unsigned char)*text);
}

/* If the text seems to lack a space in front, encode it with a space too.  If it then begins with another token, and
 * that token has a word, keep that token. */
static int set_spaced(const target *to, const ps_prompt *prompt, const ps_tokenizer *tokenizer, ps_err *err)
{
    ps_tokens tokens = {0};
    ps_text spaced = {0}, word = {0};
    int rc = -1;

    if (!to->text || !lacks_space(prompt, to->text))
        return 0;
    ps_text_printf(&spaced, " %s", to->text);
    if (ps_text_ok(&spaced, err) < 0 || ps_tokenizer_encode(tokenizer, spaced.bytes, spaced.n, false, &tokens, err) < 0)
        goto out;
    rc = 0;
    if (tokens.n == 0 || tokens.at[0].id == *to->id)
        goto out;
    add_decoded(tokenizer, tokens.at[0].id, &word);
    const char *shown = ps_text_str(&word);
    if (ps_text_ok(&word, err) == 0 && *shown == ' ' && isalnum((unsigned char)shown[1]) && (*to->token)[0] != ' ') {
        *to->spaced_id = tokens.at[0].id;
        *to->spaced = ps_strdup(shown, err);
    }
    rc = err->code ? -1 : 0;
out:
    ps_tokens_release(&tokens);
    ps_text_release(&spaced);
    ps_text_release(&word);
    return rc;
}

static int set_target(const target *to, const ps_tokenizer *tokenizer, int64_t vocab, ps_err *err)
{
    ps_text token = {0};

    *to->id = (int32_t)to->given;
    if (to->text && encode_target(to, tokenizer, err) < 0)
        return ps_err_prefix(err, "%s", to->key);
    if (*to->id >= vocab)
        return ps_err_set(err, PS_EINPUT,
                          "%s: its id %d is outside the model's vocabulary of %lld; is the "
                          "tokenizer another model's?",
                          to->key, (int)*to->id, (long long)vocab);
    if (*to->id >= 0)
        add_decoded(tokenizer, *to->id, &token);
    else
        ps_text_add(&token, "", 1);
    *to->token = ps_text_ok(&token, err) < 0 ? NULL : token.bytes;
    if (!*to->token)
        ps_text_release(&token);
    return *to->token ? 0 : -1;
}

static int set_targets(ps_pair *pair, const ps_tokenizer *tokenizer, int64_t vocab, ps_err *err)
{
    const ps_job_pair *job = pair->job;
    const target answer = {"answer",         job->answer,         job->answer_id,
                           &pair->answer_id, &pair->answer_token, &pair->answer_cut,
                           &pair->answer_spaced, &pair->answer_spaced_id};
    const target foil = {"foil",         job->foil,         job->foil_id,
                         &pair->foil_id, &pair->foil_token, &pair->foil_cut,
                         &pair->foil_spaced, &pair->foil_spaced_id};
    char shown[48];

    if (set_target(&answer, tokenizer, vocab, err) < 0 ||
        set_target(&foil, tokenizer, vocab, err) < 0 ||
        set_spaced(&answer, &job->prompt[PS_CLEAN], tokenizer, err) < 0 ||
        set_spaced(&foil, &job->prompt[PS_CORRUPT], tokenizer, err) < 0)
        return -1;
    if (pair->answer_id != pair->foil_id)
        return 0;
    ps_printable(shown, sizeof shown, pair->answer_token);
    return ps_err_set(err, PS_EINPUT,
                      "answer and foil are the same token, '%s' (%d); choose another foil", shown,
                      (int)pair->answer_id);
}

/* ---- all pairs ---- */

static int build(ps_pair *pair, const ps_tokenizer *tokenizer, int64_t vocab, ps_err *err)
{
    row rows[PS_N_WHICH] = {{{0}, NULL, false}, {{0}, NULL, false}};
    int rc = -1;

    for (int w = 0; w < PS_N_WHICH; w++)
        if (read_row(&rows[w], &pair->job->prompt[w], tokenizer, vocab, err) < 0) {
            ps_err_prefix(err, "%s", ps_whiches[w].name);
            goto out;
        }
    if (align(pair, rows, tokenizer, err) < 0)
        goto out;
    for (int w = 0; w < PS_N_WHICH; w++)
        if (name_tokens(pair, w, tokenizer, err) < 0)
            goto out;
    if (name_roles(pair, rows, tokenizer, err) < 0 || set_targets(pair, tokenizer, vocab, err) < 0)
        goto out;
    rc = 0;
out:
    for (int w = 0; w < PS_N_WHICH; w++)
        release_row(&rows[w]);
    return rc;
}

int ps_pairs_build(ps_pair **out, const ps_job *job, const ps_tokenizer *tokenizer, int64_t vocab,
                   ps_err *err)
{
    ps_pair *pairs = ps_calloc(job->n_pairs, sizeof *pairs, err);

    if (!pairs)
        return -1;
    for (size_t i = 0; i < job->n_pairs; i++) {
        const ps_job_pair *from = &job->pairs[i];
        pairs[i].job = from;
        if (build(&pairs[i], tokenizer, vocab, err) < 0) {
            ps_err_prefix(err, "%s '%s'", from->where, from->id);
            ps_pairs_free(pairs, i + 1);
            return -1;
        }
    }
    *out = pairs;
    return 0;
}

void ps_pairs_free(ps_pair *pairs, size_t n)
{
    if (!pairs)
        return;
    for (size_t i = 0; i < n; i++) {
        ps_pair *pair = &pairs[i];
        for (int w = 0; w < PS_N_WHICH; w++) {
            ps_free(pair->ids[w]);
            ps_free(pair->token[w]);
            ps_free(pair->piece[w]);
        }
        ps_free(pair->role);
        ps_free(pair->span);
        ps_free(pair->answer_token);
        ps_free(pair->foil_token);
        ps_free(pair->answer_spaced);
        ps_free(pair->foil_spaced);
    }
    ps_free(pairs);
}
