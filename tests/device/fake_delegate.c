/* A TFLite delegate that misbehaves on request, for the tests.
 *
 * It stands for an accelerator: it claims the SOFTMAX operators of a graph and answers with the
 * CPU's own kernel. Options come from load_delegate, or from the environment where a program under
 * test gives none (KEY is read from FAKE_DELEGATE_KEY, in capitals):
 *
 *   mode    run         claim the SOFTMAX operators (default)
 *           idle        claim nothing, so that the CPU does everything
 *           refuse      fail to be created, with a reason
 *           mute        fail to be created without a reason, as libedgetpu does
 *           unprepared  fail when the graph is handed over
 *           stuck       hang while it is created
 *           frozen      hang when the graph is handed over
 *   device  a file that stands for the hardware: while it is missing, creation and Invoke fail.
 *           Once Invoke has failed for that, all delegates of the process fail until none is left,
 *           because they share the open device, as libedgetpu's do.
 *   after   Invoke works so many times, then ...
 *   then    fail (default) or hang
 *   until   a FIFO: a hang ends when a writer has opened and closed it; without one it never ends.
 *           Opening it for writing returns when the delegate hangs.
 *
 * The structures below are the first members of those in tflite/core/c/common.h, which keep their
 * places in tflite-runtime 2.14.0 and ai-edge-litert 2.1.0.
 */

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kOk = 0, kError = 1, kSoftmax = 25 };

typedef struct {
    int size;
    int data[];
} TfLiteIntArray;

typedef struct TfLiteContext TfLiteContext;
typedef struct TfLiteDelegate TfLiteDelegate;

typedef struct {
    TfLiteIntArray *inputs, *outputs, *intermediates, *temporaries;
    void *user_data;
    void *builtin_data;
    const void *custom_initial_data;
    int custom_initial_data_size;
    TfLiteDelegate *delegate;
    bool might_have_side_effect;
} TfLiteNode;

typedef struct {
    void *(*init)(TfLiteContext *, const char *, size_t);
    void (*free)(TfLiteContext *, void *);
    int (*prepare)(TfLiteContext *, TfLiteNode *);
    int (*invoke)(TfLiteContext *, TfLiteNode *);
    const char *(*profiling_string)(const TfLiteContext *, const TfLiteNode *);
    int32_t builtin_code;
    const char *custom_name;
    int version;
    void *registration_external;
    void *(*async_kernel)(TfLiteContext *, TfLiteNode *);
    uint64_t inplace_operator;
} TfLiteRegistration;

struct TfLiteContext {
    size_t tensors_size;
    int (*GetExecutionPlan)(TfLiteContext *, TfLiteIntArray **);
    void *tensors;
    void *impl;
    int (*ResizeTensor)(TfLiteContext *, void *, TfLiteIntArray *);
    void (*ReportError)(TfLiteContext *, const char *, ...);
    int (*AddTensors)(TfLiteContext *, int, int *);
    int (*GetNodeAndRegistration)(TfLiteContext *, int, TfLiteNode **, TfLiteRegistration **);
    int (*ReplaceNodeSubsetsWithDelegateKernels)(
        TfLiteContext *, TfLiteRegistration, const TfLiteIntArray *, TfLiteDelegate *);
};

struct TfLiteDelegate {
    void *data;
    int (*Prepare)(TfLiteContext *, TfLiteDelegate *);
    void *CopyFromBufferHandle, *CopyToBufferHandle, *FreeBufferHandle;
    int64_t flags;
    void *opaque_delegate_builder;
};

typedef struct {
    TfLiteDelegate *delegate;
    TfLiteIntArray *nodes_to_replace;
} TfLiteDelegateParams;

typedef struct {
    char mode[16], then[16], device[1024], until[1024];
    long after, invocations;
    /* The claimed operator, which the CPU's kernel computes. */
    TfLiteNode node;
    TfLiteRegistration cpu;
} State;

/* Delegates of this process that exist, and whether the device they share has failed them. */
int fake_delegate_open_count;
static bool is_dead;

static void read_option(
    char **keys, char **values, size_t count, const char *name, char *out, size_t size) {
    char variable[64] = "FAKE_DELEGATE_";
    for (size_t i = 0, at = strlen(variable); i <= strlen(name); i++) {
        char c = name[i];
        variable[at + i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    const char *value = getenv(variable);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i], name) == 0) value = values[i];
    }
    snprintf(out, size, "%s", value ? value : "");
}

static bool is_unplugged(const State *state) {
    return state->device[0] && access(state->device, F_OK) != 0;
}

static void hang(const State *state) {
    if (!state->until[0]) {
        for (;;) pause();
    }
    int fifo = open(state->until, O_RDONLY);
    char byte;
    while (fifo >= 0 && read(fifo, &byte, 1) > 0) {
    }
    if (fifo >= 0) close(fifo);
}

static void *kernel_init(TfLiteContext *context, const char *buffer, size_t length) {
    (void)context, (void)length;
    return ((const TfLiteDelegateParams *)(const void *)buffer)->delegate->data;
}

static int kernel_prepare(TfLiteContext *context, TfLiteNode *node) {
    State *state = node->user_data;
    return state->cpu.prepare(context, &state->node);
}

static int kernel_invoke(TfLiteContext *context, TfLiteNode *node) {
    State *state = node->user_data;
    is_dead = is_dead || is_unplugged(state);
    bool over = state->after >= 0 && state->invocations++ >= state->after;
    if (over && strcmp(state->then, "hang") == 0) {
        hang(state);
    } else if (over || is_dead) {
        context->ReportError(context, "the fake accelerator does not answer");
        return kError;
    }
    return state->cpu.invoke(context, &state->node);
}

static int delegate_prepare(TfLiteContext *context, TfLiteDelegate *delegate) {
    State *state = delegate->data;
    TfLiteIntArray *plan;
    if (strcmp(state->mode, "unprepared") == 0) {
        context->ReportError(context, "the fake accelerator takes no graph");
        return kError;
    }
    if (strcmp(state->mode, "frozen") == 0) hang(state);
    if (strcmp(state->mode, "idle") == 0) return kOk;
    if (context->GetExecutionPlan(context, &plan) != kOk) return kError;
    for (int i = 0; i < plan->size; i++) {
        TfLiteNode *node;
        TfLiteRegistration *cpu;
        if (context->GetNodeAndRegistration(context, plan->data[i], &node, &cpu) != kOk) {
            return kError;
        }
        if (cpu->builtin_code != kSoftmax) continue;
        /* Copies: the originals move when the delegate's node joins the graph. */
        state->node = *node;
        state->cpu = *cpu;
        TfLiteRegistration kernel = {
            .init = kernel_init,
            .prepare = kernel_prepare,
            .invoke = kernel_invoke,
            .custom_name = "FakeDelegate",
            .version = 1,
        };
        int claimed[2] = {1, plan->data[i]};
        return context->ReplaceNodeSubsetsWithDelegateKernels(
            context, kernel, (const TfLiteIntArray *)(const void *)claimed, delegate);
    }
    return kOk;
}

TfLiteDelegate *tflite_plugin_create_delegate(
    char **keys, char **values, size_t count, void (*report_error)(const char *)) {
    State *state = calloc(1, sizeof *state);
    TfLiteDelegate *delegate = calloc(1, sizeof *delegate);
    char after[24];
    read_option(keys, values, count, "mode", state->mode, sizeof state->mode);
    read_option(keys, values, count, "then", state->then, sizeof state->then);
    read_option(keys, values, count, "device", state->device, sizeof state->device);
    read_option(keys, values, count, "until", state->until, sizeof state->until);
    read_option(keys, values, count, "after", after, sizeof after);
    state->after = after[0] ? atol(after) : -1;
    if (strcmp(state->mode, "stuck") == 0) hang(state);
    bool refuses = strcmp(state->mode, "refuse") == 0 || is_unplugged(state);
    if (refuses || strcmp(state->mode, "mute") == 0) {
        if (refuses) report_error("no fake accelerator is attached");
        free(state);
        free(delegate);
        return NULL;
    }
    delegate->data = state;
    delegate->Prepare = delegate_prepare;
    fake_delegate_open_count++;
    return delegate;
}

void tflite_plugin_destroy_delegate(TfLiteDelegate *delegate) {
    if (!delegate) return;
    if (--fake_delegate_open_count == 0) is_dead = false;
    free(delegate->data);
    free(delegate);
}
