/* batch.c - where a step, a batch and a rank's share lie: pure arithmetic. */
#include "hs_data.h"

int64_t hs_steps_per_epoch(int64_t count, int64_t batch)
{
    return count <= 0 ? 0 : 1 + (count - 1) / batch;
}

void hs_batch_at(int64_t step, int64_t count, int64_t batch, hs_batch_place *place)
{
    int64_t steps = hs_steps_per_epoch(count, batch);
    *place = (hs_batch_place){0};
    if (steps == 0)
        return;
    place->epoch = step / steps;
    place->position = step % steps * batch;
    place->global = count - place->position < batch ? count - place->position : batch;
}

void hs_batch_share(int64_t global, int rank, int size, int64_t *first, int64_t *count)
{
    int64_t base = global / size, extra = global % size; /* the first EXTRA ranks take one more */
    *first = rank * base + (rank < extra ? rank : extra);
    *count = base + (rank < extra);
}
