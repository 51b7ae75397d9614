/* config_keys.c - null means "not given", as in transformers, but where a row says that it means "none". */
#include "config_keys.h"

#include <math.h>
#include <string.h>

#include "patchsweep/family.h"
#include "patchsweep/mem.h"
#include "patchsweep/text.h"

/* ---- single values ---- */

int ps_config_refuse(const ps_node *node, const char *rest, ps_err *err)
{
    char shown[100];

    char *value = ps_json_print(node, err);
    if (!value)
        return -1;
    ps_printable(shown, sizeof shown, value);
    ps_free(value);
    return ps_err_set(err, PS_EINPUT, "key '%.100s' with value %s %s", ps_json_key(node), shown, rest);
}

int ps_config_refuse_unknown(const ps_node *node, ps_err *err)
{
    return ps_config_refuse(node, "is unknown and may change results; remove it from config.json if it does not", err);
}

static int refuse_value(const ps_node *node, ps_err *err)
{
    return ps_config_refuse(node, "would change results and is not implemented; use another model", err);
}

bool ps_config_absent(const ps_node *node)
{
    return !node || ps_json_is(node, PS_JSON_NULL);
}

int ps_config_check_neutral(const ps_node *node, const ps_node *value, const char *text, ps_err *err)
{
    char *is = ps_json_print(value, err);

    if (!is)
        return -1;
    bool same = !strcmp(is, text);
    ps_free(is);
    return same ? 0 : refuse_value(node, err);
}

static int check_each(const ps_node *node, const char *text, ps_err *err)
{
    if (!ps_json_is(node, PS_JSON_ARRAY))
        return ps_config_refuse(node, "is not an array", err);
    for (const ps_node *e = ps_json_first(node); e; e = ps_json_next(e))
        if (ps_config_check_neutral(node, e, text, err) < 0)
            return -1;
    return 0;
}

int ps_config_number(double *value, const ps_node *node, double low, double high, bool integer, ps_err *err)
{
    int64_t i;

    if (integer ? !ps_json_int(node, &i) : !ps_json_is(node, PS_JSON_NUMBER))
        return ps_config_refuse(node, integer ? "is not an integer" : "is not a number", err);
    *value = ps_json_double(node);
    if (*value >= low && *value <= high)
        return 0;
    return ps_err_set(err, PS_EINPUT, "key '%s' is %.9g; it must be from %.9g to %.9g", ps_json_key(node), *value,
                      low, high);
}

/* transformers' activations.py; its three forms with tanh are one formula. */
static int read_act(const ps_draft *draft, const ps_node *node, ps_err *err)
{
    static const struct {
        const char *name;
        enum ps_act act;
    } acts[] = {
        {"silu", PS_ACT_SILU},          {"swish", PS_ACT_SILU},
        {"gelu", PS_ACT_GELU},          {"gelu_new", PS_ACT_GELU_TANH},
        {"gelu_fast", PS_ACT_GELU_TANH}, {"gelu_pytorch_tanh", PS_ACT_GELU_TANH},
    };

    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (acts[i].act == draft->config.family->act && !strcmp(acts[i].name, ps_json_string(node)))
            return 0;
    return refuse_value(node, err);
}

/* ---- rows ---- */

static bool sets_field(const ps_config_key *key)
{
    return key->kind <= PS_CONFIG_ACT;
}

/* Does the family's row take the place of the common one? */
static bool replaces(const ps_config_key *own, const ps_config_key *common)
{
    return !strcmp(own->name, common->name) ||
           (sets_field(own) && sets_field(common) && own->offset == common->offset);
}

/* Does the common row apply to the family? */
static bool holds(const ps_family *family, const ps_config_key *common)
{
    if (common->rope && !ps_family_rotates(family))
        return false;
    for (const ps_config_key *own = family->keys; own->name; own++)
        if (replaces(own, common))
            return false;
    return true;
}

#define MAX_KEYS 100

/* The rows that apply to a family, its own first. */
typedef struct row_list {
    size_t n;
    const ps_config_key *row[MAX_KEYS];
} row_list;

static void append_row(row_list *out, const ps_config_key *key)
{
    if (out->n == MAX_KEYS)
        PS_BUG("more than %d keys of config.json", MAX_KEYS);
    out->row[out->n++] = key;
}

static void list_rows(row_list *out, const ps_family *family)
{
    out->n = 0;
    for (const ps_config_key *key = family->keys; key->name; key++)
        append_row(out, key);
    for (const ps_config_key *key = ps_config_common_keys; key->name; key++)
        if (holds(family, key))
            append_row(out, key);
}

static const ps_config_key *find_row(const row_list *rows, const char *name)
{
    static const ps_config_key ignored = {.kind = PS_CONFIG_IGNORED};

    for (size_t i = 0; i < rows->n; i++)
        if (!strcmp(rows->row[i]->name, name))
            return rows->row[i];
    for (const char *const *known = ps_config_ignored_keys; *known; known++)
        if (!strcmp(*known, name))
            return &ignored;
    return NULL;
}

const ps_config_key *ps_config_key_of(const ps_family *family, size_t offset)
{
    row_list rows;

    list_rows(&rows, family);
    for (size_t i = 0; i < rows.n; i++)
        if (sets_field(rows.row[i]) && rows.row[i]->offset == offset)
            return rows.row[i];
    return NULL;
}

const char *ps_config_key_name(const ps_family *family, size_t offset)
{
    const ps_config_key *key = ps_config_key_of(family, offset);

    if (!key)
        PS_BUG("no key of %s sets the field at %zu", family->architecture, offset);
    return key->name;
}

/* ---- reading ---- */

static void set_field(ps_draft *draft, const ps_config_key *key, double value)
{
    void *field = (char *)draft + key->offset;

    if (key->kind == PS_CONFIG_INTEGER)
        *(int32_t *)field = (int32_t)value;
    else if (key->kind == PS_CONFIG_NUMBER)
        *(double *)field = value;
    else if (key->kind == PS_CONFIG_FLAG)
        *(bool *)field = value != 0;
}

static int read_key(ps_draft *draft, const ps_config_key *key, const ps_node *node, ps_err *err)
{
    double value = 0;

    switch (key->kind) {
    case PS_CONFIG_INTEGER:
    case PS_CONFIG_NUMBER:
        if (ps_config_number(&value, node, key->low, key->high, key->kind == PS_CONFIG_INTEGER, err) < 0)
            return -1;
        set_field(draft, key, value);
        return 0;
    case PS_CONFIG_FLAG:
        set_field(draft, key, ps_json_bool(node));
        return ps_json_is(node, PS_JSON_BOOL) ? 0 : ps_config_refuse(node, "is neither true nor false", err);
    case PS_CONFIG_ACT:
        return read_act(draft, node, err);
    case PS_CONFIG_NEUTRAL:
        return ps_config_check_neutral(node, node, key->text, err);
    case PS_CONFIG_EACH:
        return check_each(node, key->text, err);
    case PS_CONFIG_REFUSED:
        return ps_err_set(err, PS_EINPUT, "key '%s': %s", key->name, key->text);
    case PS_CONFIG_IGNORED:
    case PS_CONFIG_LATER:
        break;
    }
    return 0;
}

static int read_node(ps_draft *draft, const row_list *rows, const ps_node *node, ps_err *err)
{
    const ps_config_key *key = find_row(rows, ps_json_key(node));

    if (ps_config_absent(node)) {
        if (key && key->null_is_none)
            set_field(draft, key, 0);
        return 0;
    }
    return key ? read_key(draft, key, node, err) : ps_config_refuse_unknown(node, err);
}

int ps_config_keys_read(ps_draft *draft, const ps_node *root, ps_err *err)
{
    row_list rows;

    list_rows(&rows, draft->config.family);
    for (size_t i = 0; i < rows.n; i++)
        if (!isnan(rows.row[i]->absent))
            set_field(draft, rows.row[i], rows.row[i]->absent);
    for (const ps_node *node = ps_json_first(root); node; node = ps_json_next(node))
        if (read_node(draft, &rows, node, err) < 0)
            return -1;
    for (size_t i = 0; i < rows.n; i++)
        if (isnan(rows.row[i]->absent) && ps_config_absent(ps_json_get(root, rows.row[i]->name)))
            return ps_err_set(err, PS_EINPUT, "key '%s' is missing", rows.row[i]->name);
    return 0;
}
