/*
 * width.h - how many columns of a terminal a character takes.
 */
#ifndef PATCHSWEEP_WIDTH_H
#define PATCHSWEEP_WIDTH_H

#include <stdint.h>

/* 0 for marks and controls, 2 for wide characters, else 1. */
int ps_width(uint32_t cp);

#endif
