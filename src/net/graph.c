/* graph.c - notation -> nodes: layers, repeats (...)*4 and residual blocks [...], names, shapes and parameters. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "net.h"

/* State of one parse. OUT is the normalised notation; a repeated group is written once, so MUTED counts the repetitions we are in. */
typedef struct builder {
    hs_net *net;
    hs_reader r;
    hs_node *last;
    char *out;
    size_t out_room;
    int muted, depth;
} builder;

enum { DEPTH_MAX = 16, REPEAT_MAX = 1000 };

/* ---- nodes ------------------------------------------------------------------------------------------------------------------- */

hs_status hs_node_create(const hs_layer_kind *kind, hs_node **node)
{
    hs_node *made = NULL;
    HS_TRY(hs_calloc(1, sizeof *made, "network node", &made));
    made->kind = kind;
    hs_status st = HS_OK;
    if (kind->args_bytes)
        HS_TRY_GOTO(st, hs_calloc(1, kind->args_bytes, "layer arguments", &made->args), undo);
    if (kind->state_bytes)
        HS_TRY_GOTO(st, hs_calloc(1, kind->state_bytes, "layer state", &made->state), undo);
    *node = made;
    return HS_OK;
undo:
    hs_node_destroy(&made);
    return st;
}

void hs_node_destroy(hs_node **node)
{
    if (!*node)
        return;
    if ((*node)->state && (*node)->kind->release)
        (*node)->kind->release(*node);
    hs_free((*node)->args);
    hs_free((*node)->state);
    hs_free(*node);
    *node = NULL;
}

/* The layer's name: kind and number, counted per stem from 1. */
static void name_node(const hs_net *net, hs_node *node)
{
    int number = 1;
    for (int i = 1; i < net->layers; i++)
        number += strcmp(net->layer[i]->kind->stem, node->kind->stem) == 0;
    snprintf(node->name, sizeof node->name, "%s%d", node->kind->stem, number);
}

/* Append NODE, which from here on belongs to the net. */
static hs_status append(builder *b, hs_node *node)
{
    hs_net *net = b->net;
    if (net->layers == HS_LAYERS_MAX) {
        hs_node_destroy(&node);
        return hs_reader_fail(&b->r, b->r.token, 1, "more than %d layers", HS_LAYERS_MAX - 1);
    }
    name_node(net, node);
    node->index = (uint32_t)net->layers;
    net->layer[net->layers++] = node;
    b->last = node;
    return HS_OK;
}

hs_status hs_shape_check(const hs_reader *r, const hs_node *node)
{
    double count = (double)node->out.h * node->out.w * node->out.c;
    if (count > 1 << 28)
        return hs_reader_fail(r, node->at, node->length, "its output would be %d x %d x %d, more than 2^28 numbers for one sample", node->out.h,
                              node->out.w, node->out.c);
    return HS_OK;
}

/* ---- parameters ---------------------------------------------------------------------------------------------------------------- */

static hs_status grow(hs_param **list, int count, int *room)
{
    if (count < *room)
        return HS_OK;
    int wider = *room ? 2 * *room : 16;
    hs_param *next = NULL;
    HS_TRY(hs_calloc((size_t)wider, sizeof *next, "parameter table", &next));
    if (count)
        memcpy(next, *list, (size_t)count * sizeof *next);
    hs_free(*list);
    *list = next;
    *room = wider;
    return HS_OK;
}

hs_status hs_net_declare(hs_net *net, hs_node *node, const char *name, const hs_param *like, size_t count)
{
    bool kept = like->role == HS_ROLE_STATISTIC;
    hs_param **list = kept ? &net->statistic : &net->param;
    int *used = kept ? &net->statistics : &net->params;
    size_t *total = kept ? &net->statistics_count : &net->params_count;
    HS_TRY(grow(list, *used, kept ? &net->statistic_room : &net->param_room));
    hs_param *p = &(*list)[*used];
    *p = *like;
    snprintf(p->layer, sizeof p->layer, "%s", node->name);
    snprintf(p->name, sizeof p->name, "%s", name);
    p->offset = *total;
    p->count = count;
    int *first = kept ? &node->statistic : &node->param, *number = kept ? &node->statistics : &node->params;
    if ((*number)++ == 0)
        *first = *used;
    (*used)++;
    *total += count;
    return HS_OK;
}

/* ---- the normalised text ----------------------------------------------------------------------------------------------------------- */

/* Append LENGTH characters of S less white space; a space before, unless after an opening bracket or before a closing one. */
static void emit(builder *b, const char *s, size_t length, bool space)
{
    if (b->muted)
        return;
    size_t used = strlen(b->out);
    if (space && used && !strchr("([", b->out[used - 1]))
        b->out[used++] = ' ';
    for (size_t i = 0; i < length && used + 1 < b->out_room; i++)
        if (!isspace((unsigned char)s[i]))
            b->out[used++] = s[i];
    b->out[used] = '\0';
}

/* ---- one layer ------------------------------------------------------------------------------------------------------------------------ */

static hs_status unknown_layer(builder *b, const char *symbol, size_t length)
{
    const char *names[32] = {NULL};
    char upper[16];
    int count = 0;
    for (const hs_layer_kind *const *k = hs_layer_kinds; *k; k++)
        names[count++] = (*k)->symbol;
    size_t n = 0;
    for (; n < length && n < sizeof upper - 1; n++)
        upper[n] = (char)toupper((unsigned char)symbol[n]);
    upper[n] = '\0';
    const char *near = hs_nearest(upper, names, count);
    for (int i = 0; i < count && !near; i++) /* "CONV16": what it begins with is a better guess than nothing */
        if (upper[0] == names[i][0] && names[i][1] == '\0')
            near = names[i];
    return hs_reader_fail(&b->r, b->r.at, length, "unknown layer '%.*s'%s%s%s (layers: C R T MR ST SP FD M A GA F D BN)", (int)length, symbol,
                          near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

/* The kind whose symbol is the run of capitals at the cursor. */
static hs_status read_kind(builder *b, const hs_layer_kind **kind)
{
    const char *s = b->r.text + b->r.at;
    size_t length = 0, letters = 0;
    while (isupper((unsigned char)s[length]))
        length++;
    while (isalpha((unsigned char)s[letters]))
        letters++;
    for (const hs_layer_kind *const *k = hs_layer_kinds; *k; k++) {
        if (strlen((*k)->symbol) == length && strncmp((*k)->symbol, s, length) == 0) {
            *kind = *k;
            b->r.at += length;
            return HS_OK;
        }
    }
    return unknown_layer(b, s, length > 0 ? length : letters);
}

/* {key=value, key=value}: white space is free, the order too, an option may come once. */
static hs_status read_braces(builder *b, hs_node *node)
{
    hs_reader *r = &b->r;
    size_t open = r->at;
    if (!hs_reader_take(r, '{'))
        return HS_OK;
    if (!node->kind->option)
        return hs_reader_fail(r, open, 1, "%s takes no options in braces", node->kind->symbol);
    hs_word seen[16];
    int count = 0;
    do {
        hs_reader_space(r);
        hs_word key = {r->text + r->at, r->at, strcspn(r->text + r->at, "=,{} \t\n")};
        r->at += key.length;
        hs_reader_space(r);
        if (!hs_reader_take(r, '='))
            return hs_reader_fail(r, key.at, key.length, "options are key=value, separated by commas and closed by }");
        hs_reader_space(r);
        hs_word value = {r->text + r->at, r->at, strcspn(r->text + r->at, "=,{} \t\n")};
        r->at += value.length;
        for (int i = 0; i < count; i++)
            if (seen[i].length == key.length && strncmp(seen[i].s, key.s, key.length) == 0)
                return hs_reader_fail(r, key.at, key.length, "%.*s is said twice", (int)key.length, key.s);
        if (count < 16)
            seen[count++] = key;
        HS_TRY(node->kind->option(r, node, &key, &value));
        hs_reader_space(r);
    } while (hs_reader_take(r, ','));
    if (!hs_reader_take(r, '}'))
        return hs_reader_fail(r, open, r->at - open, "the brace is not closed by }");
    return HS_OK;
}

static hs_status read_arguments(builder *b, hs_node *node)
{
    hs_reader *r = &b->r;
    node->in = b->last->out;
    if (node->kind->parse)
        HS_TRY(node->kind->parse(r, b->net, node));
    size_t end = r->at;
    hs_reader_space(r);
    if (hs_reader_peek(r) == '{')
        HS_TRY(read_braces(b, node));
    else
        r->at = end;
    char next = hs_reader_peek(r);
    if (next != '\0' && !isspace((unsigned char)next) && !strchr("()[]", next))
        return hs_reader_fail(r, r->at, 1, "unexpected '%c' after %.*s; an example of this layer is %s, and layers are separated by spaces", next,
                              (int)(r->at - r->token), r->text + r->token, node->kind->form);
    node->length = r->at - r->token;
    size_t used = 0;
    for (size_t i = r->token; i < r->at && used + 1 < sizeof node->notation; i++)
        if (!isspace((unsigned char)r->text[i]))
            node->notation[used++] = r->text[i];
    node->out = node->in;
    if (node->kind->shape)
        HS_TRY(node->kind->shape(r, b->net, node));
    return hs_shape_check(r, node);
}

static hs_status read_layer(builder *b)
{
    const hs_layer_kind *kind = NULL;
    hs_node *node = NULL;
    b->r.token = b->r.at;
    HS_TRY(read_kind(b, &kind));
    HS_TRY(hs_node_create(kind, &node));
    node->at = b->r.token;
    node->inputs = 1;
    node->input[0] = b->last;
    hs_status st = read_arguments(b, node);
    if (st != HS_OK) {
        hs_node_destroy(&node);
        return st;
    }
    emit(b, b->r.text + node->at, node->length, true);
    HS_TRY(append(b, node));
    if (kind->params)
        HS_TRY(kind->params(b->net, node));
    double total = (double)b->net->params_count;
    if (total > 1e11)
        return hs_reader_fail(&b->r, node->at, node->length, "the network would have %.3g parameters", total);
    return HS_OK;
}

/* ---- groups and blocks ------------------------------------------------------------------------------------------------------------------- */

static hs_status read_sequence(builder *b, char close, size_t open);

static hs_status enter(builder *b)
{
    return ++b->depth > DEPTH_MAX ? hs_reader_fail(&b->r, b->r.at, 1, "brackets are nested deeper than %d", DEPTH_MAX) : HS_OK;
}

/* (...)*N: the body is read N times, the shapes running on. */
static hs_status read_group(builder *b)
{
    hs_reader *r = &b->r;
    size_t open = r->at;
    int before = b->net->layers, times = 0;
    HS_TRY(enter(b));
    emit(b, "(", 1, true);
    r->at++;
    HS_TRY(read_sequence(b, ')', open));
    if (b->net->layers == before)
        return hs_reader_fail(r, open, r->at - open, "nothing to repeat");
    r->token = r->at - 1;
    if (!hs_reader_take(r, '*'))
        return hs_reader_fail(r, r->token, 1, "say how often to repeat; write for example (C32k3 R)*4");
    HS_TRY(hs_reader_int(r, "the number of repeats", "(C32k3 R)*4", 1, REPEAT_MAX, &times));
    char text[16];
    emit(b, text, (size_t)snprintf(text, sizeof text, ")*%d", times), false);
    size_t end = r->at;
    b->muted++;
    for (int i = 1; i < times; i++) {
        r->at = open + 1;
        HS_TRY(read_sequence(b, ')', open));
    }
    b->muted--;
    b->depth--;
    r->at = end;
    return HS_OK;
}

/* [...]: y = x + f(x). */
static hs_status read_block(builder *b)
{
    hs_reader *r = &b->r;
    size_t open = r->at;
    hs_node *skip = b->last, *add = NULL;
    HS_TRY(enter(b));
    emit(b, "[", 1, true);
    r->at++;
    HS_TRY(read_sequence(b, ']', open));
    emit(b, "]", 1, false);
    b->depth--;
    if (b->last == skip)
        return hs_reader_fail(r, open, r->at - open, "an empty residual block");
    hs_shape x = skip->out, y = b->last->out;
    if (x.h != y.h || x.w != y.w || x.c != y.c)
        return hs_reader_fail(r, open, r->at - open, "a residual block adds its input, %d x %d x %d, to its output, %d x %d x %d: the shapes must agree",
                              x.h, x.w, x.c, y.h, y.w, y.c);
    HS_TRY(hs_node_create(&hs_layer_add, &add));
    add->at = r->at - 1;
    add->length = 1;
    add->inputs = 2;
    add->input[0] = b->last;
    add->input[1] = skip;
    add->in = add->out = y;
    snprintf(add->notation, sizeof add->notation, "]");
    return append(b, add);
}

/* Layers up to CLOSE ('\0': the end of the text). OPEN is where the bracket stands. */
static hs_status read_sequence(builder *b, char close, size_t open)
{
    hs_reader *r = &b->r;
    for (;;) {
        hs_reader_space(r);
        char c = hs_reader_peek(r);
        if (c == close) {
            r->at += c != '\0';
            return HS_OK;
        }
        if (c == '\0')
            return hs_reader_fail(r, open, 1, "this bracket is not closed by '%c'", close);
        if (c == '(')
            HS_TRY(read_group(b));
        else if (c == '[')
            HS_TRY(read_block(b));
        else if (c == ')' || c == ']')
            return hs_reader_fail(r, r->at, 1, close ? "'%c' where '%c' is expected" : "'%c' closes nothing", c, close);
        else if (isalpha((unsigned char)c))
            HS_TRY(read_layer(b));
        else
            return hs_reader_fail(r, r->at, 1, "a layer begins with a capital letter, such as C16k5");
    }
}

/* The last layer must give one number per class. */
static hs_status check_end(builder *b)
{
    const hs_shape y = b->last->out;
    int classes = b->net->classes;
    size_t end = strlen(b->r.text);
    if (b->net->layers == 1)
        return hs_reader_fail(&b->r, 0, 1, "the network is empty; for a start try C16k5 R SP14 F128 R F%d", classes);
    if (y.h == 1 && y.w == 1 && y.c == classes)
        return HS_OK;
    size_t at = b->last->at < end ? b->last->at : end;
    if (y.c == classes)
        return hs_reader_fail(&b->r, at, b->last->length, "the network ends in %d x %d x %d, but must give %d numbers, one per class; append GA or F%d", y.h,
                              y.w, y.c, classes, classes);
    return hs_reader_fail(&b->r, at, b->last->length, "the network ends in %d x %d x %d, but must give %d numbers, one per class; append F%d%s", y.h, y.w, y.c,
                          classes, classes, y.h > 1 || y.w > 1 ? " (or a 1x1 convolution and GA)" : "");
}

hs_status hs_graph_parse(hs_net *net, const char *text)
{
    builder b = {.net = net, .r = {text, 0, 0}, .out_room = 2 * strlen(text) + 16};
    hs_node *input = NULL;
    HS_TRY(hs_calloc(b.out_room, 1, "network notation", &b.out));
    net->notation = b.out;
    HS_TRY(hs_node_create(&hs_layer_input, &input));
    input->in = input->out = net->in;
    HS_TRY(append(&b, input));
    HS_TRY(read_sequence(&b, '\0', 0));
    return check_end(&b);
}
