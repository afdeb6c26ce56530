/* provenance.c - where a run's numbers come from, gathered once at its start. */
#include <stdlib.h>
#include <string.h>

#include "halfspec.h"
#include "train.h"

enum { HOST = sizeof((hs_comm *)0)->host };

static hs_status gather_hosts(hs_origin *o, hs_comm *comm)
{
    hs_status st = HS_OK;
    if (comm->rank == 0) {
        st = hs_calloc((size_t)comm->size, HOST, "host names", &o->hosts_text);
        if (st == HS_OK)
            st = hs_calloc((size_t)comm->size, sizeof *o->hosts, "host names", &o->hosts);
    }
    HS_TRY(hs_agree(comm, st));
    HS_TRY(comm->ops->gather(comm, comm->host, HOST, o->hosts_text, 0));
    for (int i = 0; comm->rank == 0 && i < comm->size; i++)
        o->hosts[i] = o->hosts_text + (size_t)i * HOST;
    return HS_OK;
}

static hs_status describe(hs_origin *o, const hs_world *w, const hs_train_options *options)
{
    const char *slurm = getenv("SLURM_JOB_ID");
    HS_TRY(hs_config_print(w->config, true, &o->config_text));
    HS_TRY(hs_config_json(w->config, &o->config_json));
    hs_config_choice(w->config, "precision", o->precision, sizeof o->precision);
    w->device->backend->device->describe(w->device, o->device, sizeof o->device);
    snprintf(o->build, sizeof o->build, "%s, C%ld", __VERSION__, __STDC_VERSION__);
    snprintf(o->libraries, sizeof o->libraries, "%s; communication %s", o->device, w->comm->ops->name);
    o->public = (hs_provenance){.version = hs_version(),
                                .commit = hs_commit(),
                                .argv = options->argv ? options->argv : "",
                                .config_text = o->config_text,
                                .config_json = o->config_json,
                                .build = o->build,
                                .libraries = options->libraries ? options->libraries : o->libraries,
                                .dataset = w->train->source,
                                .dataset_digest = w->train->digest,
                                .held_digest = w->held->digest,
                                .precision = o->precision,
                                .device = o->device,
                                .notation = hs_net_notation(w->net),
                                .slurm_job = slurm ? slurm : "",
                                .hosts = o->hosts,
                                .world_size = w->comm->size,
                                .seed = (uint64_t)w->config->seed};
    hs_date_iso(o->public.date);
    return HS_OK;
}

hs_status hs_origin_make(hs_origin *o, const hs_world *w, const hs_train_options *options)
{
    HS_TRY(gather_hosts(o, w->comm));
    return hs_agree(w->comm, w->comm->rank == 0 ? describe(o, w, options) : HS_OK);
}

void hs_origin_free(hs_origin *o)
{
    hs_free(o->config_text);
    hs_free(o->config_json);
    hs_free(o->hosts_text);
    hs_free(o->hosts);
    *o = (hs_origin){0};
}
