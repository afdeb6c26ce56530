/* ref_names.h - declarations of one build; included by ref.h once per build, hence no guard. HS_REF_NAME makes the prefix. */

extern const hs_device_ops HS_REF_NAME(device_ops);
extern const hs_memory_ops HS_REF_NAME(memory_ops);
extern const hs_gemm_ops HS_REF_NAME(gemm_ops);
extern const hs_transform_ops HS_REF_NAME(transform_ops);
extern const hs_conv_ops HS_REF_NAME(conv_ops);
extern const hs_pool_ops HS_REF_NAME(pool_ops);
extern const hs_element_ops HS_REF_NAME(element_ops);
extern const hs_norm_ops HS_REF_NAME(norm_ops);
extern const hs_loss_ops HS_REF_NAME(loss_ops);
extern const hs_optim_ops HS_REF_NAME(optim_ops);

hs_status HS_REF_NAME(device_open)(const hs_backend *backend, const hs_device_options *options, hs_device **device);
void HS_REF_NAME(device_close)(hs_device **device);
void HS_REF_NAME(device_describe)(const hs_device *device, char *text, size_t capacity);
hs_status HS_REF_NAME(stream_create)(hs_device *device, hs_stream **stream);
void HS_REF_NAME(stream_destroy)(hs_stream **stream);
hs_status HS_REF_NAME(stream_sync)(hs_stream *stream);

hs_status HS_REF_NAME(memory_alloc)(hs_device *device, size_t bytes, void **memory);
void HS_REF_NAME(memory_free)(hs_device *device, void *memory);
hs_status HS_REF_NAME(memory_upload)(hs_stream *s, void *device_to, const void *host_from, size_t bytes);
hs_status HS_REF_NAME(memory_download)(hs_stream *s, void *host_to, const void *device_from, size_t bytes);
hs_status HS_REF_NAME(memory_copy)(hs_stream *s, void *to, const void *from, size_t bytes);
hs_status HS_REF_NAME(memory_zero)(hs_stream *s, void *memory, size_t bytes);
hs_status HS_REF_NAME(memory_from_float)(hs_stream *s, size_t count, const float *host_from, void *real_to);

hs_status HS_REF_NAME(gemm)(hs_stream *s, bool trans_a, bool trans_b, int m, int n, int k, double alpha, const void *a, int lda,
                            const void *b, int ldb, double beta, void *c, int ldc);
hs_status HS_REF_NAME(bias_add)(hs_stream *s, int rows, int cols, const void *bias, void *y);
hs_status HS_REF_NAME(bias_grad)(hs_stream *s, int rows, int cols, const void *dy, void *dbias);

hs_status HS_REF_NAME(transform_plan)(hs_device *device, int capacity, int h, int w, int c, hs_transform **out);
void HS_REF_NAME(transform_destroy)(hs_transform **plan);
size_t HS_REF_NAME(transform_scratch_bytes)(const hs_transform *plan);
hs_status HS_REF_NAME(transform_forward)(hs_stream *s, hs_transform *plan, int n, const void *space, void *spectrum, void *scratch);
hs_status HS_REF_NAME(transform_inverse)(hs_stream *s, hs_transform *plan, int n, const void *spectrum, void *space, void *scratch);

bool HS_REF_NAME(conv_supports)(const hs_device *device, const hs_conv_desc *desc);
double HS_REF_NAME(conv_cost)(const hs_device *device, const hs_conv_desc *desc);
hs_status HS_REF_NAME(conv_plan)(hs_device *device, const hs_conv_desc *desc, hs_conv **out);
void HS_REF_NAME(conv_destroy)(hs_conv **plan);
size_t HS_REF_NAME(conv_saved_bytes)(const hs_conv *plan);
size_t HS_REF_NAME(conv_scratch_bytes)(const hs_conv *plan);
bool HS_REF_NAME(conv_backward_reads_x)(const hs_conv *plan);
hs_status HS_REF_NAME(conv_forward)(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *bias, void *y,
                                    void *saved, void *scratch);
hs_status HS_REF_NAME(conv_backward)(hs_stream *s, hs_conv *plan, int n, const void *x, const void *taps, const void *dy, void *dx,
                                     void *dtaps, void *dbias, void *saved, void *scratch);

hs_status HS_REF_NAME(max_fwd)(hs_stream *s, const hs_window *w, int n, const void *x, void *y, uint8_t *arg);
hs_status HS_REF_NAME(max_bwd)(hs_stream *s, const hs_window *w, int n, const void *dy, const uint8_t *arg, void *dx);
hs_status HS_REF_NAME(average_fwd)(hs_stream *s, const hs_window *w, int n, const void *x, void *y);
hs_status HS_REF_NAME(average_bwd)(hs_stream *s, const hs_window *w, int n, const void *dy, void *dx);
hs_status HS_REF_NAME(global_fwd)(hs_stream *s, hs_shape shape, int n, const void *x, void *y);
hs_status HS_REF_NAME(global_bwd)(hs_stream *s, hs_shape shape, int n, const void *dy, void *dx);

bool HS_REF_NAME(spool_supports)(const hs_device *device, const hs_spool_desc *desc);
double HS_REF_NAME(spool_cost)(const hs_device *device, const hs_spool_desc *desc);
hs_status HS_REF_NAME(spool_plan)(hs_device *device, const hs_spool_desc *desc, hs_spool **out);
void HS_REF_NAME(spool_destroy)(hs_spool **plan);
size_t HS_REF_NAME(spool_saved_bytes)(const hs_spool *plan);
size_t HS_REF_NAME(spool_scratch_bytes)(const hs_spool *plan);
hs_status HS_REF_NAME(spool_fwd)(hs_stream *s, hs_spool *plan, int n, const void *x, void *y, void *saved, void *scratch);
hs_status HS_REF_NAME(spool_bwd)(hs_stream *s, hs_spool *plan, int n, const void *dy, void *dx, const void *saved, void *scratch);
hs_status HS_REF_NAME(lowpass)(hs_stream *s, hs_spool *plan, int n, const void *x, const int32_t *keep, void *y, void *scratch);

hs_status HS_REF_NAME(relu_fwd)(hs_stream *s, size_t count, const void *x, void *y);
hs_status HS_REF_NAME(relu_bwd)(hs_stream *s, size_t count, const void *y, const void *dy, void *dx);
hs_status HS_REF_NAME(tanh_fwd)(hs_stream *s, size_t count, const void *x, void *y);
hs_status HS_REF_NAME(tanh_bwd)(hs_stream *s, size_t count, const void *y, const void *dy, void *dx);
hs_status HS_REF_NAME(add)(hs_stream *s, size_t count, const void *a, const void *b, void *y);
hs_status HS_REF_NAME(scale)(hs_stream *s, size_t count, double factor, void *y);
hs_status HS_REF_NAME(dropout)(hs_stream *s, int n, size_t features, double p, uint64_t seed, const uint32_t *step, uint32_t layer, int64_t first,
                               const void *x, void *y);
hs_status HS_REF_NAME(modulus_fwd)(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b,
                                   void *y);
hs_status HS_REF_NAME(modulus_bwd)(hs_stream *s, bool soft, int bins, const uint8_t *self, int n, int c, const void *x, const void *b,
                                   const void *dy, void *dx, void *db);

hs_status HS_REF_NAME(moments)(hs_stream *s, size_t rows, int c, const void *x, double *sums);
hs_status HS_REF_NAME(norm_apply)(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd,
                                  const void *gamma, const void *beta, void *y);
hs_status HS_REF_NAME(moments_bwd)(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd, const void *dy,
                                   double *sums);
hs_status HS_REF_NAME(norm_apply_bwd)(hs_stream *s, size_t rows, int c, const void *x, const double *mean, const double *rstd,
                                      const void *gamma, const void *dy, const double *sums, double total, void *dx);
hs_status HS_REF_NAME(norm_statistics)(hs_stream *s, int c, const double *sums, double total, double epsilon, double momentum, double *mean,
                                       double *rstd, void *running_mean, void *running_var);
hs_status HS_REF_NAME(norm_running)(hs_stream *s, int c, const void *running_mean, const void *running_var, double epsilon, double *mean,
                                    double *rstd);
hs_status HS_REF_NAME(norm_gradients)(hs_stream *s, int c, const double *sums, void *dgamma, void *dbeta);

hs_status HS_REF_NAME(softmax)(hs_stream *s, int n, int classes, const void *logits, const int32_t *labels, double scale, void *dlogits,
                               double *totals);

hs_status HS_REF_NAME(sgd)(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m);
hs_status HS_REF_NAME(adam)(hs_stream *s, const hs_update *u, size_t count, void *p, const void *g, void *m, void *v);
hs_status HS_REF_NAME(adam_modulus)(hs_stream *s, const hs_update *u, const hs_groups *groups, size_t q, void *p, const void *g, void *m,
                                    void *v);
hs_status HS_REF_NAME(penalty_gradient)(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, const void *p,
                                        void *g, double *value);
hs_status HS_REF_NAME(penalty_prox)(hs_stream *s, hs_penalty_kind kind, const hs_groups *groups, size_t q, double lambda, void *p,
                                    double *value);
hs_status HS_REF_NAME(sum_squares)(hs_stream *s, size_t count, const void *x, double *value);
hs_status HS_REF_NAME(distance_squares)(hs_stream *s, size_t count, const void *x, const void *y, double *value);
hs_status HS_REF_NAME(axpy)(hs_stream *s, size_t count, double alpha, const void *x, void *y);
