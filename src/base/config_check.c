/* config_check.c - what involves several keys, or the inner form of one. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "config_private.h"
#include "hs_base.h"

/* "lr.minimum (fashion.conf:7)": a key and where its value came from. NAME is one of the table. */
static const char *origin(const hs_config *config, const char *name)
{
    int count;
    const hs_key *key = hs_keys(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(key[i].name, name) == 0)
            return config->origin[i];
    return "default";
}

/* Is the field a CHOICE of the table whose word is WORD? */
static bool chosen(const hs_config *config, const char *name, const char *word)
{
    int count;
    char text[64];
    const hs_key *key = hs_keys(&count);
    for (int i = 0; i < count; i++)
        if (strcmp(key[i].name, name) == 0) {
            config_format(&key[i], (const char *)config + key[i].offset, false, text, sizeof text);
            return strcmp(text, word) == 0;
        }
    return false;
}

static hs_status check_not_empty(const hs_config *config)
{
    const struct {
        const char *name, *value, *example;
    } needed[] = {{"net", config->net, "C16k5 R GA F10"}, {"data", config->data, "fashion-mnist"}, {"run", config->run, "run"}};
    for (int i = 0; i < 3; i++)
        if (!*needed[i].value)
            return hs_fail(HS_EUSAGE, "%s: %s is empty; give it a value, e.g. %s = %s", origin(config, needed[i].name), needed[i].name,
                           needed[i].name, needed[i].example);
    return HS_OK;
}

/* Epochs, positive and rising. */
static hs_status check_milestones(const hs_config *config)
{
    double last = 0, value;
    if (!chosen(config, "lr.schedule", "step"))
        return HS_OK;
    if (!*config->lr_milestones)
        return hs_fail(HS_EUSAGE, "%s: lr.schedule = step needs lr.milestones, the epochs at which the rate falls, e.g. lr.milestones = 100,140",
                       origin(config, "lr.schedule"));
    for (const char *p = config->lr_milestones; *p;) {
        char word[64];
        int n = (int)strcspn(p, ",");
        snprintf(word, sizeof word, "%.*s", n, p + strspn(p, " "));
        word[strcspn(word, " ,")] = '\0';
        if (!hs_number_parse(word, &value) || value <= last)
            return hs_fail(HS_EUSAGE, "%s: lr.milestones = %s: '%s' is not an epoch later than the one before; write rising numbers, e.g. 100,140",
                           origin(config, "lr.milestones"), config->lr_milestones, word);
        last = value;
        p += n + (p[n] == ',');
    }
    return HS_OK;
}

static hs_status check_rates(const hs_config *config)
{
    HS_TRY(check_milestones(config));
    if (config->lr_minimum > config->lr)
        return hs_fail(HS_EUSAGE, "%s: lr.minimum = %g is larger than lr = %g (%s); lower it", origin(config, "lr.minimum"), config->lr_minimum,
                       config->lr, origin(config, "lr"));
    bool adam = chosen(config, "optimizer", "adam") || chosen(config, "optimizer", "adamw");
    if (adam && (config->beta1 >= 1 || config->beta2 >= 1)) /* 1 - beta^t would be 0 */
        return hs_fail(HS_EUSAGE, "%s: Adam divides by 1 - beta%d^t: beta%d must be less than 1", origin(config, config->beta1 >= 1 ? "beta1" : "beta2"),
                       config->beta1 >= 1 ? 1 : 2, config->beta1 >= 1 ? 1 : 2);
    if (chosen(config, "moment", "modulus") && !adam)
        return hs_fail(HS_EUSAGE, "%s: moment = modulus is about Adam's second moment; set optimizer = adam or adamw", origin(config, "moment"));
    return HS_OK;
}

static hs_status check_history(const hs_config *config)
{
    const char *s = config->history_filters;
    if (strcmp(s, "none") == 0 || strcmp(s, "all") == 0)
        return HS_OK;
    size_t digits = strncmp(s, "first:", 6) == 0 ? strspn(s + 6, "0123456789") : 0;
    if (digits && digits <= 9 && s[6 + digits] == '\0')
        return HS_OK;
    return hs_fail(HS_EUSAGE, "%s: history.filters = %s: write none, all, or first:N, e.g. first:16", origin(config, "history.filters"), s);
}

hs_status hs_config_check(const hs_config *config)
{
    HS_TRY(check_not_empty(config));
    HS_TRY(check_rates(config));
    HS_TRY(check_history(config));
    if (chosen(config, "precision", "double") && strcmp(config->device, "ref") != 0)
        return hs_fail(HS_EUSAGE, "%s: precision = double runs only on device = ref (device is %s, %s)", origin(config, "precision"), config->device,
                       origin(config, "device"));
    return HS_OK;
}
