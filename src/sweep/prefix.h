/*
 * prefix.h - token rows that begin alike share what comes of their beginning.
 *
 * Package-private.  In a causal model the state of a position depends on the tokens up to it and on
 * nothing else: a node stands for one such prefix, whichever pair's run it is met in.
 */
#ifndef PATCHSWEEP_SWEEP_PREFIX_H
#define PATCHSWEEP_SWEEP_PREFIX_H

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

/* nodes[i] = the node of ids[0 .. i], for the n of them: an old one where a row that began so was added. */
void ps_prefix_add(ps_prefix_tree *tree, const int32_t *ids, int32_t n, int32_t *nodes);

#endif
