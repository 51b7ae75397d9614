/*
 * hub.h - find the directory of a model by the name that a job gives, offline.
 *
 * A directory with a config.json is taken as it is (relative to `base_dir`).  Otherwise a hub name, "org/model" or
 * "org/model@revision", is looked up in the local Hugging Face cache.  HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME,
 * XDG_CACHE_HOME and ~/.cache give its place, as for huggingface_hub.  Nothing is downloaded: the error for a missing
 * model names the `hf download` command to run.
 */
#ifndef PATCHSWEEP_HUB_H
#define PATCHSWEEP_HUB_H

#include "patchsweep/err.h"

/*
 * Find the model `name`.  *dir gets the directory, and *revision the commit that it is from, or "".  The caller owns
 * both.  PS_EINPUT if `name` is neither a directory nor in the cache, or was only partly downloaded.
 *
 * `supported` lists the architectures that the caller can use, NULL behind the last (NULL: any).  A message that asks
 * for a download names them.  If the config.json of a partial download has another architecture, the message says so
 * instead of asking for the rest.
 */
int ps_hub_resolve(char **dir, char **revision, const char *name, const char *base_dir, const char *const *supported,
                   ps_err *err);

#endif
