/* net.h - what the files of this room share: nodes, the table of a layer kind, and the network itself.
 *
 * A network is a list of nodes in execution order. Node 0 is the input; every other node reads the outputs of one or two earlier
 * ones. Planning inserts transform nodes where neighbours disagree about the domain. An EDGE is the output of a node. */
#ifndef HS_NET_NET_H
#define HS_NET_NET_H

#include "hs_backend.h"
#include "hs_base.h"
#include "hs_net.h"
#include "hs_spectrum.h"
#include "hs_types.h"
#include "notation.h"

typedef struct hs_node hs_node;
typedef struct hs_layer_kind hs_layer_kind;

/* One way to carry a layer out. */
typedef struct hs_choice {
    hs_domain in, out;
    hs_engine engine; /* AUTO where there is nothing to choose */
    int way;          /* of the backend, within the engine; 0: its own choice */
    double cost;      /* seconds of forward + backward of a full batch by which it is chosen: estimated, or measured */
    double estimate;  /* what cost was before it was measured */
} hs_choice;
enum { HS_CHOICES = 16, HS_NOTE_MAX = 160, HS_LAYERS_MAX = 2000, HS_DECISION_MAX = 96, HS_WISDOM_KEY = 1024 };

/* A kind of layer. Entries that are NULL: no arguments, same shape, no parameters, space to space, nothing to plan. */
struct hs_layer_kind {
    const char *symbol; /* how the notation spells it, "C" */
    const char *stem;   /* name = stem + number, "conv" */
    const char *form;   /* an example for messages, "C96k3" */
    size_t args_bytes, state_bytes; /* arguments are plain numbers: they are copied */
    bool in_place;         /* forward may overwrite its first input, backward its output gradient */
    bool reads_x, reads_y; /* what backward looks at; plan may correct it in the node */
    bool seals;            /* its backend op knows sealed edges */
    bool takes_relu_in, takes_relu_out; /* may rectify what it reads, what it writes, if the node says so (fuse.c) */
    bool takes_max_out;    /* may pool what it rectified on its way out */
    bool (*covers)(const hs_net *net, const hs_node *node); /* where there are no choices: can it be carried out as NODE says, with what joined it? */

    /* Read what follows the symbol; one key=value of the braces; check against node->in and set node->out; declare parameters. */
    hs_status (*parse)(hs_reader *r, const hs_net *net, hs_node *node);
    hs_status (*option)(const hs_reader *r, hs_node *node, const hs_word *key, const hs_word *value);
    hs_status (*shape)(const hs_reader *r, const hs_net *net, hs_node *node);
    hs_status (*params)(hs_net *net, hs_node *node);
    double (*flop)(const hs_node *node); /* forward + backward of one sample by definition */

    /* The ways the device offers, at most HS_CHOICES; 0 = none. */
    int (*choices)(const hs_net *net, const hs_node *node, hs_choice *list);
    /* Estimated seconds of a layer that has no choices; NULL: what moving its maps takes. */
    double (*cost)(const hs_net *net, const hs_node *node);
    /* What the time depends on beside notation, shapes and choice: " periodic flip". */
    void (*flags)(const hs_node *node, char *text, size_t capacity);
    /* Make backend plans and ask for memory (hs_want_*); then, memory being there, fill tables. */
    hs_status (*plan)(hs_net *net, hs_node *node);
    hs_status (*fill)(hs_net *net, hs_node *node, hs_stream *s);
    void (*release)(hs_node *node);

    /* What a training pass needs from the host beyond its samples: sent before forward, so that forward and backward can be recorded. */
    hs_status (*prepare)(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass);
    hs_status (*forward)(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass);
    /* Writes dx[i] where it is not NULL, and the gradients of its parameters. */
    hs_status (*backward)(hs_net *net, hs_node *node, hs_stream *s, const hs_pass *pass);
};

struct hs_node {
    const hs_layer_kind *kind;
    char name[HS_NAME_MAX];
    char notation[HS_NOTE_MAX];
    uint32_t index;    /* position in the notation, from 1: keys random draws, so it does not depend on the plan */
    int inputs;
    hs_node *input[2];
    hs_shape in, out;  /* in: of the first input */
    size_t at, length; /* token in the text */
    void *args;        /* kind->args_bytes, hs_free */
    int param, params, statistic, statistics; /* ranges of the net's tables */

    /* from planning */
    int step;                  /* position in net->step */
    hs_domain from, to;        /* domains of (first) input and output */
    hs_engine engine;
    int way;
    char engine_text[24];
    bool reads_x, reads_y;
    bool relu_in, relu_out;    /* a rectifier that stood before or behind joined this layer */
    int pool, pool_stride;     /* window of a max pool behind that rectifier that joined too; 0: none. OUT is then the pooled map's */
    bool sealed_in, sealed_out; /* nobody else looks at this edge: hs_backend.h. During the search: it may become so */
    bool wanted;               /* the gradient of its output is needed */
    bool shares, grad_shares;  /* output lies over the first input; dx[0] over dy */
    bool need_dx[2];           /* gradient with respect to input i is wanted */
    bool adds[2];              /* dx[i] is a temporary that is added to the edge's gradient */
    int consumers;             /* nodes that read this output */
    double predicted, measured; /* seconds of the chosen way; measured 0: it was not */
    size_t count;              /* numbers per sample of the output, in its domain */
    void *state;               /* kind->state_bytes, hs_free */
    void *x[2], *y, *dx[2], *dy; /* device memory; dy NULL: no gradient flows through this node */
};

/* A piece of device memory somebody asked for during planning; SLOT receives the address. */
typedef enum hs_region { HS_REGION_TABLE, HS_REGION_ARENA } hs_region;
typedef struct hs_want {
    hs_region region;
    size_t bytes;
    int first, last; /* times in use, of the arena */
    void **slot;
} hs_want;

struct hs_net {
    char *notation;
    hs_net_options options;
    hs_shape in;
    int classes;
    bool want_dx, batch_statistics, planned;
    bool keep_all;   /* test aid: no memory is shared, to compare with */
    bool keep_apart; /* test aid: rectifiers and max pools stay layers of their own */
    bool is_probe;   /* measure.c's: one layer, whose edges are sealed as they are where it comes from */

    hs_node **layer; /* as parsed; [0] is the input */
    int layers;
    hs_node **fused; /* layers that joined a neighbour */
    int fuseds;
    hs_node **step; /* with transforms, in order; NULL before planning */
    int steps;

    hs_param *param, *statistic;
    int params, statistics, param_room, statistic_room;
    size_t params_count, statistics_count;
    int cutoff_layers; /* frequency dropout layers in the notation */

    hs_device *device;
    const hs_backend *backend;
    hs_plan_options plan;
    char *decisions, *forced;

    hs_want *want;
    int wants, want_room;
    size_t scratch_bytes;
    void *memory; /* the one allocation */
    hs_net_bytes bytes;
    char *slab, *gradients, *statistics_slab; /* bytes, so that offsets are plain */
    void *scratch;
    void *labels; /* device int32 [capacity] */
    bool keyed;   /* some layer draws by step: */
    void *step_key; /* device uint32 [1] */
    void *totals; /* device double [3] */
};

/* ---- layers.c: the list -------------------------------------------------------------------------------------------------- */

extern const hs_layer_kind *const hs_layer_kinds[]; /* what the notation knows; NULL ends it */
extern const hs_layer_kind hs_layer_input, hs_layer_add, hs_layer_transform; /* made by the graph and the planner */
extern const hs_layer_kind hs_layer_relu, hs_layer_max; /* which the planner joins to their neighbours */

/* ---- graph.c --------------------------------------------------------------------------------------------------------------- */

hs_status hs_graph_parse(hs_net *net, const char *text);
hs_status hs_node_create(const hs_layer_kind *kind, hs_node **node);
void hs_node_destroy(hs_node **node);
/* Declare the next parameter (or statistic) of NODE. COUNT numbers; fields that describe it come from LIKE. */
hs_status hs_net_declare(hs_net *net, hs_node *node, const char *name, const hs_param *like, size_t count);

/* ---- plan.c, memory.c ------------------------------------------------------------------------------------------------------- */

hs_status hs_plan_choose(hs_net *net, hs_stream *stream); /* domains, engines; builds net->step */
hs_status hs_plan_fuse(hs_net *net, hs_stream *s); /* fuse.c: before the search, needs being marked */
bool hs_plan_measures(const hs_net *net); /* rather than believe estimates */
hs_status hs_plan_measure(const hs_net *net, hs_stream *s, const hs_node *node, hs_choice *choice); /* into choice->cost */
bool hs_plan_seals(const hs_net *net, bool sealed, hs_domain domain); /* does the device store this edge in a way of its own? */
/* "conv1=fft:space>spectrum;", with what joined "conv1=fft+relu:..", "conv1=direct+relu+max:..", "pool1=relu+-+relu:.." */
void hs_decision_text(const hs_node *node, const hs_choice *choice, char *text, size_t capacity);
/* Does the text that another rank sent ask for this choice? */
bool hs_decision_forced(const char *forced, const hs_node *node, const hs_choice *choice);
size_t hs_plan_count(hs_shape shape, hs_domain domain); /* numbers of one sample */
hs_status hs_memory_layout(hs_net *net);
size_t hs_align(size_t bytes); /* up to where the next buffer may begin */
int hs_time_forward(const hs_node *node);
int hs_time_backward(const hs_net *net, const hs_node *node);
/* Requests during kind->plan; the slot is filled before kind->fill. */
hs_status hs_want_table(hs_net *net, size_t bytes, void **slot);                            /* for good */
hs_status hs_want_saved(hs_net *net, const hs_node *node, size_t bytes, void **slot);       /* from forward to backward */
hs_status hs_want_in_backward(hs_net *net, const hs_node *node, size_t bytes, void **slot); /* during backward only */
void hs_want_scratch(hs_net *net, size_t bytes);                                          /* net->scratch has at least this much */

/* ---- measure.c ----------------------------------------------------------------------------------------------------------------- */

/* Seconds of forward and (if training) backward of a full batch: into choice->cost; of a transform of SHAPE, either way. */
hs_status hs_measure_choice(const hs_net *net, const hs_node *node, hs_stream *s, hs_choice *choice);
hs_status hs_measure_transform(const hs_net *net, hs_shape shape, hs_stream *s, double *seconds);

/* ---- wisdom.c ------------------------------------------------------------------------------------------------------------------ */

/* Does the table hold a cost of WHAT on its machine? And here is one. */
bool hs_wisdom_knows(const hs_wisdom *wisdom, const char *what, double *seconds);
hs_status hs_wisdom_learn(hs_wisdom *wisdom, const char *what, double seconds);
void hs_wisdom_of_choice(const hs_net *net, const hs_node *node, const hs_choice *choice, char *text, size_t capacity);
void hs_wisdom_of_transform(const hs_net *net, hs_shape shape, char *text, size_t capacity);

/* ---- helpers for layers ------------------------------------------------------------------------------------------------------ */

/* Parameter I of NODE in the slab, and its gradient. */
void *hs_node_param(const hs_net *net, const hs_node *node, int i);
void *hs_node_gradient(const hs_net *net, const hs_node *node, int i);
void *hs_node_statistic(const hs_net *net, const hs_node *node, int i);
/* Copy host doubles to device memory of the backend's real. Allocates: for planning and initialisation only. */
hs_status hs_upload_reals(const hs_net *net, hs_stream *s, const double *host, size_t count, void *device);
hs_status hs_node_copy(const hs_net *net, hs_stream *s, size_t count, const void *from, void *to);
hs_status hs_shape_check(const hs_reader *r, const hs_node *node); /* sizes stay far from overflow */

void hs_window_sides(const hs_node *max, int *k, int *stride); /* layer_window.c: of a max pool */

/* filters.c: the linear map of a filter parameter (embed = space form if PLAIN). */
hs_status hs_filter_shape(const hs_net *net, const hs_param *param, bool plain, hs_arm_shape *shape);
/* Coordinates of PARAM from ordinary kh x kw filters TAPS [kh*kw][in][out], whatever its embedding. */
hs_status hs_filter_from_kernel(const hs_net *net, const hs_param *param, const double *taps, double *coords);

#endif
