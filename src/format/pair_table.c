/*
 * pair_table.c - the pairs as a table for people, shown before the sweep starts.
 *
 *     pair            tokens  differ at  placeholders       answer           foil
 *     einstein-swift      28         14  subject 14-15      ' Isaac' 31006   ' Michael' 8096
 *
 * The reader sees whether the tokens are the intended ones.  A note behind a line points out what may not be intended.
 */
#include "patchsweep/pair.h"

#include <stdio.h>
#include <string.h>

#include "patchsweep/mem.h"

enum { ID, TOKENS, DIFFER, PLACEHOLDERS, ANSWER, FOIL, N_COLUMNS };

typedef struct cells {
    char text[N_COLUMNS][200];
} cells;

/* Append the runs of positions that spans cover: "subject 14-15, entities 17-25". */
static void list_placeholders(const ps_pair *pair, char *out, size_t bytes)
{
    size_t used = 0;
    int32_t start = 0;

    out[0] = '\0';
    for (int32_t i = 0; i < pair->n_positions && used < bytes; i++) {
        const char *span = pair->span[i];
        bool only = !strcmp(span, "only"), ends = only || !strcmp(span, "last");
        if (only || !strcmp(span, "first"))
            start = i;
        if (!ends)
            continue;
        int n = snprintf(out + used, bytes - used, start == i ? "%s%s %d" : "%s%s %d-%d",
                         used ? ", " : "", pair->role[i], (int)start, (int)i);
        used += n > 0 ? (size_t)n : 0;
    }
    if (used >= bytes)
        memcpy(out + bytes - 4, "...", 4);
}

static void show_target(int32_t id, const char *token, char *out, size_t bytes)
{
    char shown[64];

    ps_printable(shown, sizeof shown, token);
    if (id < 0)
        snprintf(out, bytes, "-");
    else if (shown[0])
        snprintf(out, bytes, "'%s' %d", shown, (int)id);
    else
        snprintf(out, bytes, "%d", (int)id);
}

static void fill_cells(const ps_pair *pair, cells *out)
{
    const size_t bytes = sizeof out->text[0];

    snprintf(out->text[ID], bytes, "%s", pair->job->id);
    snprintf(out->text[TOKENS], bytes, "%d", (int)pair->n_positions);
    snprintf(out->text[DIFFER], bytes, "%d", (int)pair->first_difference);
    list_placeholders(pair, out->text[PLACEHOLDERS], bytes);
    show_target(pair->answer_id, pair->answer_token, out->text[ANSWER], bytes);
    show_target(pair->foil_id, pair->foil_token, out->text[FOIL], bytes);
}

/* Count the columns on a terminal, approximately: code points. */
static size_t width_of(const char *s)
{
    size_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

/* Cells side by side; numbers to the right, the rest to the left. */
static void print_cells(const cells *row, const size_t width[N_COLUMNS], ps_text *out)
{
    for (int c = 0; c < N_COLUMNS; c++) {
        const char *cell = row->text[c];
        bool right = c == TOKENS || c == DIFFER;
        if (width[c] == 0) /* no pair has placeholders */
            continue;
        int pad = (int)(width[c] - width_of(cell));
        ps_text_printf(out, "%s%*s%s%*s", c ? "  " : "", right ? pad : 0, "", cell,
                       right || c == N_COLUMNS - 1 ? 0 : pad, "");
    }
}

static bool is_blank(const char *s)
{
    return !s[strspn(s, " \t\r\n")];
}

/* Append a note if an answer or foil has several tokens: a long word, or a space as a token of its own. */
static void note_cut(const char *what, bool cut, const char *token, ps_text *out)
{
    if (cut && is_blank(token))
        ps_text_printf(out,
                       "; %s: its first token, which counts, is only white space: try it without "
                       "the leading space",
                       what);
    else if (cut)
        ps_text_printf(out, "; %s: several tokens, of which the first counts", what);
}

/* Append a note if a text seems to lack a space in front.  A word in mid-sentence has another token than at the
 * beginning of a text. */
static void note_space(const char *what, const char *token, int32_t id, ps_text *out)
{
    char shown[64];

    if (!token)
        return;
    ps_printable(shown, sizeof shown, token);
    ps_text_printf(out, "; %s: no space in front; write '%s' for the token %d", what, shown, (int)id);
}

static void print_notes(const ps_pair *pair, ps_text *out)
{
    const int32_t *ids = pair->ids[PS_CLEAN];

    note_cut("answer", pair->answer_cut, pair->answer_token, out);
    note_cut("foil", pair->foil_cut, pair->foil_token, out);
    note_space("answer", pair->answer_spaced, pair->answer_spaced_id, out);
    note_space("foil", pair->foil_spaced, pair->foil_spaced_id, out);
    if (pair->n_misaligned)
        ps_text_printf(out, "; %d position%s in another placeholder in the corrupt prompt",
                       (int)pair->n_misaligned, pair->n_misaligned == 1 ? " stands" : "s stand");
    if (pair->n_positions > 1 && !strcmp(pair->role[0], "bos") && ids[0] == ids[1])
        ps_text_puts(out,
                     "; begins with two begin-of-text tokens: leave it out of the prompt's text");
}

void ps_pairs_table(const ps_pair *pairs, size_t n, ps_text *out)
{
    static const cells head = {{"pair", "tokens", "differ at", "placeholders", "answer", "foil"}};
    size_t width[N_COLUMNS] = {0};
    cells row;

    for (size_t i = 0; i < n; i++) {
        fill_cells(&pairs[i], &row);
        for (int c = 0; c < N_COLUMNS; c++)
            if (width_of(row.text[c]) > width[c])
                width[c] = width_of(row.text[c]);
    }
    for (int c = 0; c < N_COLUMNS; c++)
        if (width[c] && width_of(head.text[c]) > width[c])
            width[c] = width_of(head.text[c]);
    print_cells(&head, width, out);
    ps_text_puts(out, "\n");
    for (size_t i = 0; i < n; i++) {
        ps_text notes = {0};
        fill_cells(&pairs[i], &row);
        print_cells(&row, width, out);
        print_notes(&pairs[i], &notes);
        if (notes.n)
            ps_text_printf(out, "  # %s", notes.bytes + 2);
        ps_text_puts(out, "\n");
        ps_text_release(&notes);
    }
}
