/* spoil.h - what the shim tells spoil.c. */
#ifndef PATCHSWEEP_FAULT_SPOIL_H
#define PATCHSWEEP_FAULT_SPOIL_H

/* A file is flushed to the disk. */
void spoil_at_sync(void);

#endif
