/*
 * keep_modules.c - linked into sanitized builds only: plugins are never unloaded.
 *
 * Open MPI unloads its plugins at the end; what they leaked is then laid at nobody's door, and
 * lsan.supp cannot name them.
 */
int dlclose(void *handle);

int dlclose(void *handle)
{
    (void)handle;
    return 0;
}
