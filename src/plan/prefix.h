/*
 * prefix.h - number the prefixes of token rows: rows that begin alike share the states of their beginning.
 *
 * Package-private.  In a causal model the state of a position depends on the tokens up to it and on
 * nothing else.  A node stands for one prefix, whichever pair's runs have it.
 */
#ifndef PATCHSWEEP_PLAN_PREFIX_H
#define PATCHSWEEP_PLAN_PREFIX_H

#include <stddef.h>
#include <stdint.h>

#include "patchsweep/err.h"

typedef struct ps_prefix_tree {
    struct ps_prefix_node *table; /* [size] open addressing by (parent, token) */
    size_t size;
    int32_t n_nodes;
} ps_prefix_tree;

/* Room for `max_nodes` nodes. */
int ps_prefix_init(ps_prefix_tree *tree, size_t max_nodes, ps_err *err);
void ps_prefix_release(ps_prefix_tree *tree);

/* nodes[i] = the node of prefix ids[0 .. i], i < n.  A prefix of an earlier row keeps its node; others get new ones. */
void ps_prefix_add(ps_prefix_tree *tree, const int32_t *ids, int32_t n, int32_t *nodes);

#endif
