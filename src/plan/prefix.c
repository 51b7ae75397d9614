/* prefix.c - a hash table from (parent, token) to node. */
#include "prefix.h"

#include "patchsweep/hash.h"
#include "patchsweep/mem.h"

typedef struct ps_prefix_node {
    int32_t parent, token; /* parent -1: the token begins a row */
    int32_t node;          /* -1: an empty place */
} ps_prefix_node;

int ps_prefix_init(ps_prefix_tree *tree, size_t max_nodes, ps_err *err)
{
    size_t size = 16;

    while (size < 2 * max_nodes)
        size *= 2;
    *tree = (ps_prefix_tree){ps_malloc(size, sizeof *tree->table, err), size, 0};
    if (!tree->table)
        return -1;
    for (size_t i = 0; i < size; i++)
        tree->table[i].node = -1;
    return 0;
}

void ps_prefix_release(ps_prefix_tree *tree)
{
    ps_free(tree->table);
    *tree = (ps_prefix_tree){0};
}

static int32_t child(ps_prefix_tree *tree, int32_t parent, int32_t token)
{
    size_t at = (size_t)ps_hash_pair(parent, token) & (tree->size - 1);

    for (;; at = (at + 1) & (tree->size - 1)) {
        ps_prefix_node *place = &tree->table[at];
        if (place->node < 0)
            *place = (ps_prefix_node){parent, token, tree->n_nodes++};
        if (place->parent == parent && place->token == token)
            return place->node;
    }
}

void ps_prefix_add(ps_prefix_tree *tree, const int32_t *ids, int32_t n, int32_t *nodes)
{
    int32_t node = -1;

    for (int32_t i = 0; i < n; i++)
        nodes[i] = node = child(tree, node, ids[i]);
}
