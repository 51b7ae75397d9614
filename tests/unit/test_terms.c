/* test_terms.c - names of sites, the axes of their grids, and what other tools call them. */
#include "patchsweep/terms.h"

#include "../check.h"

/* A site's name says what its grids lie along. */
static void test_shapes(void)
{
    int n_kv = 0;

    for (int site = 0; site < PS_N_SITES; site++) {
        const ps_site_shape *shape = &ps_site_shapes[site];
        const char *name = ps_sites[site].name;
        bool of_heads = site >= PS_SITE_Q, by_pos = strstr(name, "_by_pos") != NULL;
        CHECK_INT(ps_term_find(ps_sites, PS_N_SITES, name), site);
        CHECK(ps_sites[site].long_name && ps_sites[site].aliases);
        CHECK(shape->axis[PS_AXIS_LAYER]);
        CHECK_INT(shape->axis[PS_AXIS_HEAD], of_heads);
        CHECK_INT(shape->axis[PS_AXIS_POSITION], !of_heads || by_pos);
        CHECK_INT(shape->kv_heads, of_heads && strchr("kv", name[0]) != NULL);
        n_kv += shape->kv_heads;
    }
    CHECK_INT(n_kv, 4);
    CHECK_INT(ps_term_find(ps_sites, PS_N_SITES, "embedding"), -1);
}

/* The numbers stand in journals. */
static void test_numbers(void)
{
    CHECK_INT(PS_RESID_PRE, 0);
    CHECK_INT(PS_RESID_MID, 4);
    CHECK_INT(PS_SITE_Q, 5);
    CHECK_INT(PS_SITE_PATTERN_BY_POS, 14);
}

static void test_aliases(void)
{
    static const struct {
        enum ps_site site;
        const char *name;
        bool called;
    } cases[] = {
        {PS_SITE_Z, "hook_z", true},
        {PS_SITE_Z_BY_POS, "hook_z", true},
        {PS_SITE_Z, "attn.hook_z", true},
        {PS_SITE_Z, "blocks.12.attn.hook_z", true},
        {PS_SITE_Z, "blocks.{layer}.attn.hook_z", true},
        {PS_SITE_Z, "o_proj.input", true},
        {PS_SITE_Z, "z", false}, /* that is its own name */
        {PS_SITE_Z, "ook_z", false},
        {PS_SITE_Z, "hook_zz", false},
        {PS_SITE_Z, "hook_", false},
        {PS_SITE_Z, "", false},
        {PS_SITE_Z, "blocks..attn.hook_z", false},
        {PS_SITE_Z, "blocks.1", false},
        {PS_SITE_Z, "hook_z; model", false},
        {PS_SITE_Q, "hook_z", false},
        {PS_RESID_POST, "model.layers[3].output", true},
        {PS_RESID_POST, "model.layers[3", false},
        {PS_MLP_OUT, "hook_attn_out", false},
        {PS_ATTN_OUT, "hook_attn_out", true},
        {PS_ATTN_OUT, "self_attn.output[0]", true},
        {PS_SITE_PATTERN, "self_attn.output[1]", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ps_term_is_called(&ps_sites[cases[i].site], cases[i].name) != cases[i].called) {
            printf("# %s, '%s'\n", ps_sites[cases[i].site].name, cases[i].name);
            check_failed_here++;
        }
    CHECK(!ps_term_is_called(&ps_metrics[PS_KL], "kl")); /* without aliases */
}

int main(void)
{
    RUN(test_shapes);
    RUN(test_numbers);
    RUN(test_aliases);
    return check_done();
}
