/* t_cuda_plan.c - what the planner makes of the costs that the cuda backend states: a periodic network of the paper's stays in the spectrum
 * from its second convolution on, rectifiers and all, whatever the precision; on emulated devices, which have no memory for the batch that is asked for, so that
 * planning ends where the decisions have been made. */
#include "net_fixture.h"

extern const hs_backend hs_backend_cuda;

static int count(const char *text, const char *word)
{
    int found = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
        found++;
    return found;
}

static void decide(const char *precision, const char *notation, hs_boundary boundary, int n, char *decisions, size_t capacity)
{
    const hs_device_options options = {.threads = 1, .ordinal = -1, .local_size = 1, .precision = precision};
    const hs_plan_options plan = {.capacity = n, .training = true, .mode = "estimate"};
    hs_net_options net_options;
    hs_device *device = NULL;
    hs_stream *stream = NULL;
    hs_net *net = NULL;
    OK(hs_backend_cuda.device->open(&hs_backend_cuda, &options, &device));
    OK(hs_backend_cuda.device->stream_create(device, &stream));
    hs_net_options_default(&net_options);
    net_options.boundary = boundary;
    OK(hs_net_create(notation, &net_options, (hs_shape){32, 32, 3}, 10, &net));
    assert_int_not_equal(hs_net_plan(net, device, stream, &plan), HS_OK);
    assert_non_null(strstr(hs_fail_text(), "device memory"));
    snprintf(decisions, capacity, "%s", hs_net_decisions(net));
    hs_net_destroy(&net);
    hs_backend_cuda.device->stream_destroy(&stream);
    hs_backend_cuda.device->close(&device);
}

static void stays_in_the_spectrum(void **state)
{
    static const char *const precisions[] = {"fp32", "tf32", "bf16"};
    char decisions[2048];
    (void)state;
    for (int i = 0; i < 3; i++) {
        decide(precisions[i], "paper-sp", HS_BOUNDARY_PERIODIC, 512, decisions, sizeof decisions);
        printf("# %s: %s\n", precisions[i], decisions);
        if (count(decisions, "fft:spectrum>spectrum") != 5 || count(decisions, "relu+-+relu:spectrum>spectrum") < 4)
            fail_msg("%s: %s", precisions[i], decisions);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stays_in_the_spectrum)};
    setenv("HS_EMULATE_MEMORY", "268435456", 1);
    return cmocka_run_group_tests_name("plans on emulated devices", tests, NULL, NULL);
}
