/*
 * shape.h - the shapes of models that come with the program, for `bench --shape`.
 *
 * Package-private.  A shape is a config.json named `<shape>.json`.
 */
#ifndef PATCHSWEEP_CLI_SHAPE_H
#define PATCHSWEEP_CLI_SHAPE_H

#include "patchsweep/err.h"

/* Find the config of a shape: `name` is a file, a model directory, or one of our shapes.  The caller owns *path.
 * PS_EINPUT where there is none; the message lists our shapes. */
int ps_shape_find(char **path, const char *name, ps_err *err);

#endif
