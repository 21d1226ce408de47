/* A plugin for QEMU 7 and 8: how many AArch64 instructions a program executes on one processor, and
 * how many of them multiply int8: SDOT and UDOT, which take 16 products at once, and SMULL, SMLAL and
 * their unsigned ones, which take 8 or less. It writes them to stderr when the program ends. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* As in qemu/qemu-plugin.h, which no package of Debian 12 has. */
typedef uint64_t id_t_;
struct tb;
struct insn;
struct info;
extern void qemu_plugin_register_vcpu_tb_trans_cb(id_t_, void (*)(id_t_, struct tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct tb *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_atexit_cb(id_t_, void (*)(id_t_, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct tb *);
extern struct insn *qemu_plugin_tb_get_insn(const struct tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct insn *);
int qemu_plugin_version = 1;

struct counts {
    uint64_t all, dot, widening;
};
static struct counts total;

/* By vector, and by element of one. */
static int is_dot(uint32_t word) {
    return (word & 0x9F20FC00) == 0x0E009400 || (word & 0x9F00F400) == 0x0F00E000;
}

static int is_widening(uint32_t word) {
    return (word & 0x9F20FC00) == 0x0E208000 || (word & 0x9F20FC00) == 0x0E20C000 ||
           (word & 0x9F00F400) == 0x0F002000 || (word & 0x9F00F400) == 0x0F00A000;
}

static void executed(unsigned cpu, void *block) {
    const struct counts *counts = block;
    total.all += counts->all;
    total.dot += counts->dot;
    total.widening += counts->widening;
}

static void translated(id_t_ id, struct tb *tb) {
    struct counts *counts = calloc(1, sizeof *counts); /* for as long as the block may run */
    counts->all = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < counts->all; i++) {
        uint32_t word = *(const uint32_t *)qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i));
        counts->dot += is_dot(word);
        counts->widening += is_widening(word);
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, counts);
}

static void ended(id_t_ id, void *unused) {
    fprintf(stderr, "\ncounted %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", total.all, total.dot,
            total.widening);
}

int qemu_plugin_install(id_t_ id, const struct info *info, int argc, char **argv) {
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
