/* footprint.c - the resident memory of a rank, predicted part by part before the first step. What we allocate is zeroed and with it resident, so that
 * sizes are sums of what the rooms ask for; what libraries take is read from the kernel when this start begins, and after data were opened. The figure is
 * of rank 0, which alone holds histories and files, at its largest moment: while the last checkpoint is written. */
#include "train.h"

/* What starts to be resident later: code of HDF5, FFTW and OpenMP as it is first used, stacks of threads. Measured: 2.7 to 5.4 MiB in six networks,
 * as what their peaks had beyond all other parts (tests/t_train_memory.sh fails when it is off). */
static const double code_later = 4.0 * 1048576;

enum { PAGE = 2 << 20, LARGE = 4 * PAGE }; /* hs_calloc gives large blocks whole huge pages */

static double block(double bytes)
{
    double pages = (double)(int64_t)((bytes + PAGE - 1) / PAGE);
    return bytes < LARGE ? bytes : pages * PAGE;
}

/* Two buffers each for training and evaluation. */
static double batches(const hs_world *w)
{
    double sample = (double)hs_shape_count(w->train->shape) * sizeof(float);
    return 4 * (block(w->capacity * sample) + w->capacity * (double)(sizeof(int32_t) + sizeof(int64_t)) + sample);
}

static double slabs(const hs_trainer *t)
{
    const hs_world *w = &t->world;
    hs_net_bytes b;
    hs_net_memory(w->net, &b);
    if (w->device->backend->memory->host_visible)
        return block((double)b.total) + (double)hs_optim_bytes(t->optim);
    return (2 + t->moments) * block((double)t->parameters.bytes) + (double)t->statistics.bytes; /* what the host sees of the device */
}

static double history(const hs_trainer *t)
{
    int params = 0;
    const hs_param *param = hs_net_params(t->world.net, &params);
    double filters = 0, coords = 0;
    for (int i = 0; i < params; i++) {
        double count = (double)param[i].count, bank = (double)param[i].kh * param[i].kw * param[i].in * param[i].out;
        if (param[i].role != HS_ROLE_FILTER)
            continue;
        filters = bank > filters ? bank : filters;
        coords = count > coords ? count : coords;
    }
    double before = t->world.config->history_every != 0 ? block((double)t->parameters.bytes) : 0;
    return 5 * block(8 * filters) + block(8 * coords) + before;
}

/* run.h5 in memory, then the greater of its copy on the way to the disk and a checkpoint. */
static double files(const hs_trainer *t)
{
    hs_checkpoint ckpt;
    double run = hs_run_memory(t->history.layer, t->history.layers) + hs_history_bytes(t), copy = hs_history_bytes(t);
    hs_checkpoint_describe(&t->world, &ckpt);
    ckpt.moments = t->moments;
    double save = hs_checkpoint_memory(&ckpt);
    return run + (save > copy ? save : copy);
}

/* Three levels of sums and a scratch (shards.c); and what MPI touches of its shared memory once gradients move: 1 MiB in
 * six steps of a small network, 5 MiB in 300 of jobs/fashion.conf, with Open MPI and two ranks on one host. */
static double ranks(const hs_trainer *t)
{
    const double sums = t->shards ? 4 * block((double)t->parameters.bytes) : 0, transport = t->world.comm->size > 1 ? 3.0 * 1048576 : 0;
    return sums + transport;
}

void hs_footprint_make(const hs_trainer *t, hs_footprint *f)
{
    *f = (hs_footprint){.program = t->resident_start + code_later,
                        .data = t->resident_data - t->resident_start,
                        .slabs = slabs(t),
                        .batches = batches(&t->world),
                        .ranks = ranks(t),
                        .history = history(t),
                        .files = files(t)};
    f->total = f->program + f->data + f->slabs + f->batches + f->ranks + f->history + f->files;
}
