/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loading a plugin. Code of a plugin runs from dlopen() on, so trust is decided before it, by who may write the
 * file; what is checked after it are mistakes: another contract, a missing operation, a declaration that contradicts
 * itself. Old and new meet by size: of what the plugin registered, min(its, our) bytes are copied over zeroes,
 * so an operation it was built without is absent.
 */
#include "host/plugin.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include "base/str.h"

/* The smallest struct there ever was under this ABI: what the required operations need. */
#define PLUGIN_SIZE_MIN (offsetof(struct storaged_plugin, path) + sizeof(((struct storaged_plugin *) NULL)->path))

#define OP(name) #name, offsetof(struct storaged_plugin, name)

/* name and place, whether it is required, whether a self-description shows it */
const PluginOperation plugin_operations[] = {
        { OP(check_config), false, true },
        { OP(scan), false, true },
        { OP(start), true, false },
        { OP(stop), true, false },
        { OP(activate_storage), true, false },
        { OP(deactivate_storage), false, false },
        { OP(probe), false, true },
        { OP(status), true, false },
        { OP(health), false, true },
        { OP(repair), false, true },
        { OP(list), true, true },
        { OP(stat), false, true },
        { OP(alloc), false, true },
        { OP(free), false, true },
        { OP(resize), false, true },
        { OP(path), true, true },
        { OP(activate_volume), false, true },
        { OP(deactivate_volume), false, true },
        { OP(holders), false, true },
        { OP(snapshot), false, true },
        { OP(rollback), false, true },
        { OP(delete_snapshot), false, true },
        { OP(list_snapshots), false, true },
        { OP(clone), false, true },
        { OP(template), false, true },
        { OP(rename), false, true },
        { OP(export_stream), false, true },
        { OP(import_stream), false, true },
        { OP(upload), false, true },
        { OP(set_notes), false, true },
        { OP(set_protected), false, true },
        { OP(act), false, true },
        { OP(identify), false, true },
        { OP(get_client), false, true },
        { OP(fence), false, true },
        { OP(export_difference), false, true },
        { OP(list_stamp), false, false },
        { 0 },
};

bool plugin_has(const struct storaged_plugin *ops, const PluginOperation *operation)
{
        void (*fn)(void);

        memcpy(&fn, (const char *) ops + operation->offset, sizeof(fn));
        return fn != NULL;
}

Plugin *plugin_free(Plugin *p)
{
        if (!p)
                return NULL;
        free(p->path);
        free(p);
        return NULL;
}

static int file_check(const char *path, struct storaged_error *err)
{
        struct stat st;

        if (path[0] != '/')
                return error_set(err, -EINVAL, "plugin %s: the path must be absolute", path);
        if (stat(path, &st) < 0) {
                int r = -errno;

                return error_set(err, r, "plugin %s: %s", path, strerror(-r));
        }
        if (!S_ISREG(st.st_mode))
                return error_set(err, -EINVAL, "plugin %s: not a regular file", path);
        if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & S_IWOTH))
                return error_set(err, -EPERM,
                                 "plugin %s: owned by uid %u with mode %04o, so others than root could put "
                                 "their code into it; chown root and chmod o-w it if it is yours",
                                 path, st.st_uid, st.st_mode & 07777);
        return 0;
}

/* The two numbers first: nothing behind them may be looked at before they are known to be right. */
static int copy_ops(const char *path, const struct storaged_plugin *theirs, struct storaged_plugin *ret,
                    struct storaged_error *err)
{
        uint32_t abi, size;

        if (!theirs)
                return error_set(err, -EINVAL, "plugin %s: %s() gave nothing", path, STORAGED_PLUGIN_SYMBOL);
        abi = theirs->abi;
        if (abi != STORAGED_PLUGIN_ABI)
                return error_set(err, -EPROTONOSUPPORT,
                                 "plugin %s was built for version %u of the plugin contract, this "
                                 "storaged speaks version %u: install the plugin's package that belongs to it",
                                 path, abi, STORAGED_PLUGIN_ABI);
        size = theirs->size;
        if (size < PLUGIN_SIZE_MIN)
                return error_set(err, -EINVAL,
                                 "plugin %s registered %u bytes of operations, %zu is the least there can be: "
                                 "was it registered with STORAGED_REGISTER?",
                                 path, size, PLUGIN_SIZE_MIN);
        *ret = (struct storaged_plugin){ 0 };
        memcpy(ret, theirs, size < sizeof(*ret) ? size : sizeof(*ret));
        ret->size = size < sizeof(*ret) ? size : (uint32_t) sizeof(*ret);
        return 0;
}

static int operations_check(const char *path, const struct storaged_plugin *ops, struct storaged_error *err)
{
        for (const PluginOperation *o = plugin_operations; o->name; o++)
                if (o->is_required && !plugin_has(ops, o))
                        return error_set(err, -EINVAL, "plugin %s has no operation %s, which every plugin must have",
                                         path, o->name);
        if (ops->scan && !ops->scan_schema)
                return error_set(err, -EINVAL, "plugin %s has the operation scan, but does not declare scan_schema",
                                 path);
        if (ops->act && !ops->actions)
                return error_set(err, -EINVAL, "plugin %s has the operation act, but does not declare actions", path);
        if (ops->repair && !ops->health)
                return error_set(err, -EINVAL,
                                 "plugin %s has the operation repair, but not health to find what to repair", path);
        return 0;
}

static bool type_name_is_valid(const char *s)
{
        size_t n = s ? strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") : 0;

        return n > 0 && n <= 32 && s[n] == '\0' && s[0] >= 'a';
}

static int data_check(const char *path, const struct storaged_plugin *ops, struct storaged_error *err)
{
        uint32_t known = STORAGED_CONTENT_ANY | STORAGED_CONTENT_NONE;
        uint32_t formats = STORAGED_FORMAT_RAW | STORAGED_FORMAT_QCOW2 | STORAGED_FORMAT_VMDK | STORAGED_FORMAT_SUBVOL;
        struct {
                bool is_wrong;
                const char *what;
        } rules[] = {
                { !type_name_is_valid(ops->name), "name must be the type word: small letters, digits and dashes" },
                { !ops->version || !ops->summary, "version and summary must be given" },
                { ops->naming < STORAGED_NAMING_FILE || ops->naming > STORAGED_NAMING_LUN,
                  "naming must be one of STORAGED_NAMING_*" },
                { ops->sharing > STORAGED_SHARED_ALWAYS, "sharing must be one of STORAGED_SHARED_*" },
                { ops->contents == 0 || (ops->contents & ~known), "contents must be a mask of STORAGED_CONTENT_*" },
                { ops->default_contents == 0 || (ops->default_contents & ~ops->contents),
                  "default_contents must be some of contents" },
                { ops->formats == 0 || (ops->formats & ~formats), "formats must be a mask of STORAGED_FORMAT_*" },
                { __builtin_popcount(ops->default_format) != 1 || !(ops->default_format & ops->formats),
                  "default_format must be one of formats" },
                { !ops->properties, "properties must be a table that ends with a row without a name" },
                { !ops->features, "features must be a table that ends with a row without a format" },
        };

        for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
                if (rules[i].is_wrong)
                        return error_set(err, -EINVAL, "plugin %s: %s", path, rules[i].what);
        return 0;
}

int plugin_load(const char *path, Plugin **ret, struct storaged_error *err)
{
        AUTO(plugin_freep) Plugin *p = NULL;
        const struct storaged_plugin *(*entry)(void);
        void *dl;
        int r;

        r = file_check(path, err);
        if (r < 0)
                return r;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->path = strdup(path);
        if (!p->path)
                return -ENOMEM;
        dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!dl)
                return error_set(err, -EINVAL, "plugin %s can't be loaded: %s", path, dlerror());
        entry = (const struct storaged_plugin *(*) (void) ) dlsym(dl, STORAGED_PLUGIN_SYMBOL);
        if (!entry)
                return error_set(err, -EINVAL, "plugin %s does not export %s: not a plugin of storaged", path,
                                 STORAGED_PLUGIN_SYMBOL);
        r = copy_ops(path, entry(), &p->ops, err);
        if (r < 0)
                return r;
        r = data_check(path, &p->ops, err);
        if (r < 0)
                return r;
        r = operations_check(path, &p->ops, err);
        if (r < 0)
                return r;

        *ret = TAKE(p);
        return 0;
}
