/* provenance.c - where a file comes from, as attributes of /provenance. */
#include <stdio.h>
#include <string.h>

#include "parts.h"

static hs_status write_hosts(hid_t group, const hs_provenance *p)
{
    const char *nobody = "";
    if (p->hosts && p->world_size > 0)
        return hs_h5_set_texts(group, "hosts", p->hosts, p->world_size);
    return hs_h5_set_texts(group, "hosts", &nobody, 1);
}

hs_status hs_write_provenance(hid_t file, const hs_provenance *p)
{
    hs_status st;
    hid_t group = -1;
    HS_TRY(hs_h5_make_group(file, "provenance", &group));
    const struct {
        const char *name, *text;
    } field[] = {{"software", "halfspec"},
                 {"softwareVersion", p->version},
                 {"git_commit", p->commit},
                 {"argv", p->argv},
                 {"config_text", p->config_text},
                 {"config_json", p->config_json},
                 {"notation", p->notation},
                 {"date", p->date},
                 {"device", p->device},
                 {"precision", p->precision},
                 {"build", p->build},
                 {"libraries", p->libraries},
                 {"dataset", p->dataset},
                 {"dataset_sha256", p->dataset_digest},
                 {"heldout_sha256", p->held_digest},
                 {"slurm_job_id", p->slurm_job}};
    for (size_t i = 0; i < sizeof field / sizeof field[0]; i++)
        HS_TRY_GOTO(st, hs_h5_set_text(group, field[i].name, field[i].text), done);
    int32_t world = p->world_size;
    HS_TRY_GOTO(st, hs_h5_set(group, "world_size", HS_H5_I32, 0, &world), done);
    HS_TRY_GOTO(st, hs_h5_set(group, "seed", HS_H5_U64, 0, &p->seed), done);
    st = write_hosts(group, p);
done:
    hs_h5_drop(group);
    return st;
}
