/* check.c - choosing the self-checks, and comparing them. */
#include "patchsweep/check.h"

#include <math.h>

#include "patchsweep/metric.h"

/* Choose a site, a direction and a head that the grid sweeps, by the pair's number.  A check is at one position: if no swept site
 * has positions, it replaces a row of X. */
static ps_cell asked(const ps_grid *grid, int32_t pair)
{
    ps_cell all[PS_N_SITES * PS_N_DIRECTIONS];
    int32_t n = 0;

    for (int site = 0; site < PS_N_SITES; site++)
        for (int dir = 0; dir < PS_N_DIRECTIONS; dir++)
            if (ps_grid_asks(grid, site, dir) && ps_site_shapes[site].axis[PS_AXIS_POSITION])
                all[n++] = (ps_cell){.pair = pair, .site = (uint8_t)site, .direction = (uint8_t)dir};
    if (!n)
        return (ps_cell){.pair = pair, .head = -1, .site = PS_SITE_AFTER, .direction = grid->directions & 1 ? 0 : 1};
    ps_cell cell = all[pair % n];
    bool heads = ps_site_shapes[cell.site].axis[PS_AXIS_HEAD];
    cell.head = heads ? pair % ps_grid_axis_of(grid, pair, cell.site, PS_AXIS_HEAD).size : -1;
    return cell;
}

size_t ps_check_cells(const ps_grid *grid, int32_t pair, ps_cell cells[PS_MAX_CHECKS])
{
    int32_t T = grid->pairs[pair].n_positions, D = grid->pairs[pair].first_difference, L = grid->n_layers;
    ps_cell cell = asked(grid, pair);
    size_t n = 0;

    if (D > 0) {
        cell.check = PS_CHECK_SHARED;
        cell.layer = 3 * L / 4;
        cell.position = pair % D;
        cells[n++] = cell;
    }
    cell.check = PS_CHECK_SELF;
    cell.layer = L / 2;
    cell.position = D + pair % (T - D);
    cells[n++] = cell;
    cell.check = PS_CHECK_LAST;
    cell.site = PS_SITE_AFTER;
    cell.head = -1;
    cell.layer = L - 1;
    cell.position = T - 1;
    cells[n++] = cell;
    return n;
}

enum ps_which ps_check_expects(const ps_cell *check)
{
    return check->check == PS_CHECK_LAST ? ps_cell_source(check) : ps_cell_base(check);
}

ps_cell ps_check_of_ranks(int32_t pair, int32_t layer, const ps_grid *grid)
{
    return (ps_cell){.pair = pair, .layer = layer, .head = -1, .position = grid->pairs[pair].n_positions - 1,
                     .site = PS_SITE_BEFORE, .direction = PS_DENOISE, .check = PS_CHECK_RANKS};
}

double ps_check_difference(const ps_grid *grid, int32_t pair, const double a[PS_N_METRICS], const double b[PS_N_METRICS],
                           bool *blind)
{
    bool foil = grid->pairs[pair].foil_id >= 0;
    double most = 0;

    for (int m = 0; m < PS_ANSWER_RANK; m++) {
        if ((m != PS_LOGIT_ANSWER && !(grid->metrics >> m & 1)) || (!foil && ps_metric_needs_foil((enum ps_metric)m)))
            continue;
        if (isfinite(a[m]) && isfinite(b[m]))
            most = fmax(most, fabs(a[m] - b[m]));
        else if (isfinite(a[m]) || isfinite(b[m]))
            most = INFINITY;
        else
            *blind = true;
    }
    return most;
}

double ps_check_limit(const ps_grid *grid, double largest)
{
    double scale = isfinite(largest) ? fmax(1, fabs(largest)) : 1;

    return (grid->precision == PS_BF16 ? PS_TOLERANCE_BF16 : PS_TOLERANCE) * scale;
}

void ps_check_compare(ps_checks *checks, const ps_grid *grid, const ps_cell *check,
                      const double seen[PS_N_METRICS], const double wanted[PS_N_METRICS], double largest)
{
    bool blind = false;
    double difference = ps_check_difference(grid, check->pair, seen, wanted, &blind);

    checks->n++;
    checks->worst = fmax(checks->worst, difference);
    if (difference <= ps_check_limit(grid, largest)) {
        checks->n_blind += blind;
        return;
    }
    if (!checks->n_failed++)
        checks->failed = *check;
}

void ps_check_count(ps_checks *checks, const ps_agreement *agreement)
{
    checks->n++;
    if (agreement->odd < 0) {
        checks->n_blind += agreement->blind;
        return;
    }
    checks->worst = fmax(checks->worst, agreement->difference);
    if (!checks->odd.n_ranks)
        checks->odd = *agreement;
    if (!checks->n_failed++)
        checks->failed = agreement->cell;
}
