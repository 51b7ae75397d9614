/*
 * config_keys.h - config.json read strictly, by tables of keys.
 *
 * A key sets a field, or is known not to change what a pass computes, or is known to be neutral with one value.  Any other
 * key or value is refused by name.  Otherwise a pass could compute another model than the file describes.
 */
#ifndef PATCHSWEEP_CONFIG_KEYS_H
#define PATCHSWEEP_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patchsweep/config.h"
#include "patchsweep/err.h"
#include "patchsweep/json.h"

/* A config while it is read, and settings from which its fields are derived. */
typedef struct ps_draft {
    ps_config config;
    int32_t act;                   /* never set: the offset of keys that name the activation */
    int32_t sliding_window;        /* in keys; 0: none */
    int32_t max_window_layers;
    bool use_sliding_window;
    double query_pre_attn_scalar;  /* 0: head_dim takes its place */
} ps_draft;

enum ps_config_kind {
    PS_CONFIG_INTEGER, /* int32_t at `offset`, from low to high */
    PS_CONFIG_NUMBER,  /* double at `offset`, from low to high */
    PS_CONFIG_FLAG,    /* bool at `offset` */
    PS_CONFIG_ACT,     /* the name of an activation, which must be the family's */
    PS_CONFIG_NEUTRAL, /* only the value `text` (compact JSON) */
    PS_CONFIG_EACH,    /* an array, each of whose elements is `text` */
    PS_CONFIG_IGNORED, /* does not change what a pass computes */
    PS_CONFIG_REFUSED, /* for the reason `text` */
    PS_CONFIG_LATER,   /* a function of its own reads the key */
};

typedef struct ps_config_key {
    const char *name;    /* NULL ends a table */
    enum ps_config_kind kind;
    size_t offset;       /* in ps_draft */
    double low, high;
    double absent;       /* the value if the key is absent; NAN: the key is required */
    const char *text;
    bool null_is_none;   /* null sets the field to 0; else null is "not given", as for all other kinds */
    bool rope;           /* only in families whose layers rotate queries and keys */
} ps_config_key;

/* Rows that set fields of ps_draft: the beginning of an initializer. */
#define PS_INTEGER(key, field, lowest, highest, otherwise) \
    .name = key, .kind = PS_CONFIG_INTEGER, .offset = offsetof(ps_draft, field), .low = lowest, .high = highest, .absent = otherwise
#define PS_NUMBER(key, field, lowest, highest, otherwise) \
    .name = key, .kind = PS_CONFIG_NUMBER, .offset = offsetof(ps_draft, field), .low = lowest, .high = highest, .absent = otherwise
#define PS_FLAG(key, field, otherwise) \
    .name = key, .kind = PS_CONFIG_FLAG, .offset = offsetof(ps_draft, field), .absent = otherwise
#define PS_ACTIVATION(key) .name = key, .kind = PS_CONFIG_ACT, .offset = offsetof(ps_draft, act)

/*
 * Read the keys of config.json's object `root` into `draft`, whose family is set.  The family's rows come first: each takes
 * the place of the common row with the same name, and of the common row that sets the same field.
 */
int ps_config_keys_read(ps_draft *draft, const ps_node *root, ps_err *err);

/* The row that sets the field at `offset` for `family`, or NULL. */
const ps_config_key *ps_config_key_of(const ps_family *family, size_t offset);
/* The name of that row, which must exist. */
const char *ps_config_key_name(const ps_family *family, size_t offset);

/* ---- single values, for readers of their own ---- */

/* Is the key absent, or null? */
bool ps_config_absent(const ps_node *node);
/* PS_EINPUT "key 'x' with value 4096 <rest>" */
int ps_config_refuse(const ps_node *node, const char *rest, ps_err *err);
int ps_config_refuse_unknown(const ps_node *node, ps_err *err);
/* *value = the number `node`, which must lie from low to high. */
int ps_config_number(double *value, const ps_node *node, double low, double high, bool integer, ps_err *err);
/* Refuse `node` unless `value`, itself or an element of it, is `text` (compact JSON). */
int ps_config_check_neutral(const ps_node *node, const ps_node *value, const char *text, ps_err *err);

/* ---- the sections of a config ---- */

/* config_common.c: rows that all families share, and keys without influence on a pass.  Both end with NULL. */
extern const ps_config_key ps_config_common_keys[];
extern const char *const ps_config_ignored_keys[];

/* Does any layer of the family rotate queries and keys? */
bool ps_family_rotates(const ps_family *family);
/* Read the rope settings of `root` into draft->config.rope; then, once head_dim is known, derive rotary_dim. */
int ps_config_rope_read(ps_draft *draft, const ps_node *root, ps_err *err); /* config_rope.c */
int ps_config_rope_derive(ps_draft *draft, ps_err *err);
/* Allocate config.layers and set the window of each. */
int ps_config_windows(ps_draft *draft, const ps_node *root, ps_err *err); /* config_windows.c */

#endif
