/* t_cuda_order.c - sums of gradients beside backward: from what the host asked of the (emulated) device during one step it follows what the device
 * may do at the same time. Every sum comes behind all that was computed before it was asked for, the first one does not hold up the rest of
 * backward, and the update comes behind all sums; launched one by one and as a recording. Without one of the waits it would not be so, and this test
 * would say it. ranks: 1 2 */
#include "train_ranks.h"

#ifdef HAVE_NCCL
#include "cuda_emulation/journal.h"

enum { ENTRIES = 2000, STREAMS = 8 };

typedef struct journal {
    emulated_entry entry[ENTRIES];
    size_t count;
} journal;

/* How far each stream had come when an entry was reached; what an event stands for. */
typedef struct progress {
    size_t of[STREAMS];
} progress;

typedef struct history {
    progress at[ENTRIES];
    size_t place[ENTRIES]; /* of the entry on its own stream, from 1 */
    const void *stream[STREAMS];
    int streams;
} history;

static int stream_of(history *h, const void *stream)
{
    int i = 0;
    while (i < h->streams && h->stream[i] != stream)
        i++;
    if (i == h->streams && i < STREAMS)
        h->stream[h->streams++] = stream;
    return i < STREAMS ? i : STREAMS - 1;
}

static void learn(progress *mine, const progress *other)
{
    for (int s = 0; s < STREAMS; s++)
        mine->of[s] = mine->of[s] > other->of[s] ? mine->of[s] : other->of[s];
}

/* Without entry LEFT_OUT; SIZE_MAX: with all of them. */
static void follow(const journal *j, size_t left_out, history *h)
{
    static progress now[STREAMS];
    memset(now, 0, sizeof now);
    *h = (history){.streams = 0};
    for (size_t i = 0; i < j->count; i++) {
        const emulated_entry *e = &j->entry[i];
        const int s = stream_of(h, e->stream);
        h->place[i] = ++now[s].of[s];
        for (size_t k = i; i != left_out && e->deed == EMULATED_WAIT && k-- > 0;) /* for the last record before */
            if (j->entry[k].deed == EMULATED_RECORD && j->entry[k].event == e->event) {
                learn(&now[s], &h->at[k]);
                break;
            }
        h->at[i] = now[s];
    }
}

static bool is_before(const journal *j, history *h, size_t a, size_t b)
{
    return h->at[b].of[stream_of(h, j->entry[a].stream)] >= h->place[a];
}

static bool is_update(const emulated_entry *e)
{
    static const char *const reads_gradients[] = {"penalised_squares", "update_pieces", "adam", "sgd"};
    for (size_t i = 0; e->deed == EMULATED_LAUNCH && i < sizeof reads_gradients / sizeof *reads_gradients; i++)
        if (strcmp(e->name, reads_gradients[i]) == 0)
            return true;
    return false;
}

typedef struct facts {
    int sums;
    bool behind;   /* every sum behind all launches before it */
    bool beside;   /* work of backward asked for behind the first sum does not wait for it */
    bool update;   /* found, and behind all sums */
} facts;

static facts facts_of(const journal *j, size_t left_out)
{
    static history h;
    facts f = {.behind = true, .update = false, .beside = false};
    size_t first = SIZE_MAX, update = SIZE_MAX;
    follow(j, left_out, &h);
    for (size_t i = 0; i < j->count; i++) {
        const emulated_entry *e = &j->entry[i];
        if (e->deed == EMULATED_SUM) {
            first = f.sums++ ? first : i;
            for (size_t k = 0; k < i; k++)
                f.behind = f.behind && (j->entry[k].deed != EMULATED_LAUNCH || is_before(j, &h, k, i));
        }
        if (update == SIZE_MAX && is_update(e))
            update = i;
        if (e->deed == EMULATED_LAUNCH && first != SIZE_MAX && update == SIZE_MAX)
            f.beside = f.beside || !is_before(j, &h, first, i);
    }
    f.update = update != SIZE_MAX;
    for (size_t i = 0; f.update && i < j->count; i++)
        f.update = j->entry[i].deed != EMULATED_SUM || is_before(j, &h, i, update);
    return f;
}

static bool is_right(const facts *f)
{
    return f->sums >= 2 && f->behind && f->beside && f->update;
}

/* Step 2 alone; at step 2 the trainer records when it may. */
static void on_step(void *context, int64_t step, double loss)
{
    journal *j = context;
    const emulated_entry *list;
    (void)loss;
    if (step == 1)
        emulated_journal_begin();
    if (step != 2)
        return;
    j->count = emulated_journal_end(&list);
    if (j->count <= ENTRIES)
        memcpy(j->entry, list, j->count * sizeof *list);
    else
        j->count = 0;
}

static void show(const journal *j)
{
    static const char *const deed[] = {"launch", "sum", "record", "wait"};
    for (size_t i = 0; i < j->count; i++)
        fprintf(stderr, "# %p %s %s %p\n", j->entry[i].stream, deed[j->entry[i].deed], j->entry[i].name ? j->entry[i].name : "", j->entry[i].event);
}

/* Of waits between the sums' stream and the other one: how many the facts rest on. */
static int needed_waits(const journal *j, int *waits)
{
    int needed = 0;
    *waits = 0;
    for (size_t i = 0; i < j->count; i++)
        if (j->entry[i].deed == EMULATED_WAIT) {
            const facts f = facts_of(j, i);
            needed += !is_right(&f);
            ++*waits;
        }
    return needed;
}

static void orders(hs_comm *comm, const char *scratch, const char *graph)
{
    static journal j;
    const char *words[] = {"device=cuda", "comm=nccl", "max-steps=3", "comm.bucket=1024", "net=C8k3 R C8k3 R C8k3 R F4", "conv.engine=direct", graph, NULL};
    char run[320];
    int waits = 0;
    j.count = 0;
    snprintf(run, sizeof run, "%s/%s", scratch, graph);
    const hs_status st = fixture_train_with(comm, run, words, on_step, &j, NULL);
    const facts f = facts_of(&j, SIZE_MAX);
    if (!tap_ok(st == HS_OK && is_right(&f), "%s: %d sums behind what they add%s, beside backward%s, before the update%s", graph, f.sums,
                f.behind ? "" : " (no)", f.beside ? "" : " (no)", f.update ? "" : " (no)"))
        show(&j);
    /* One for each sum that found something new to wait for, and the last of those that the update waits for. */
    const int needed = needed_waits(&j, &waits);
    tap_ok(needed >= 3, "%s: without one of %d of %d waits it would not be so", graph, needed, waits);
}

int main(int argc, char **argv)
{
    char scratch[256];
    ranks_begin(&argc, &argv, scratch);
    setenv("HS_EMULATE_DEVICES", "2", 1);
    orders(tap_comm, scratch, "graph=no");
    orders(tap_comm, scratch, "graph=yes");
    return ranks_end(scratch);
}

#else

int main(void)
{
    puts("1..0 # SKIP the stand-in for NCCL stands on MPI");
    return 0;
}

#endif
