/*
 * hub.h - find the directory of a model by the name that a job gives, offline.
 *
 * A directory with a config.json is taken as it is (relative to `base_dir`); otherwise a
 * hub name like "org/model", optionally "org/model@revision", is looked for in the local Hugging Face cache
 * (HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, ~/.cache, as huggingface_hub does).
 * Nothing is downloaded: the error for a missing model names the `hf download` command to run.
 */
#ifndef PATCHSWEEP_HUB_H
#define PATCHSWEEP_HUB_H

#include "patchsweep/err.h"

/*
 * *dir gets the directory, *revision the commit it is from or "" (both owned by the caller).
 * PS_EINPUT where `name` is neither a directory nor in the cache, or was downloaded in part.
 *
 * `supported` lists the architectures that the caller can use, NULL behind the last (NULL: any).  A message that asks for
 * a download names them.  A partial download whose config.json has another architecture is refused for that reason.
 */
int ps_hub_resolve(char **dir, char **revision, const char *name, const char *base_dir, const char *const *supported,
                   ps_err *err);

#endif
