/* strand.h - a flow of control with a stack of its own, and the change from one to another. swapcontext would do, but it asks the kernel for
 * the signal mask at each change, which took three quarters of the time of kernels whose threads wait for each other. What a function call
 * keeps is enough: the callee-saved registers of the x86-64 ABI and the stack pointer. */
#ifndef EMULATION_STRAND_H
#define EMULATION_STRAND_H

#include <cstddef>
#include <cstdint>

#ifdef __x86_64__

struct strand {
    void **sp = nullptr;
};

extern "C" void emulation_change(void ***from, void **to);
#define EMULATION_CHANGE                                                                              \
    asm(".text\n.globl emulation_change\n.hidden emulation_change\n.type emulation_change, @function\n" \
        "emulation_change:\n"                                                                         \
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"                          \
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"                                                          \
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"                           \
        ".size emulation_change, . - emulation_change\n")

/* BODY never returns. It begins as a called function does: 8 bytes off a multiple of 16, where its return address would lie. */
inline void strand_make(strand &s, char *stack, std::size_t bytes, void (*body)())
{
    const std::uintptr_t top = (reinterpret_cast<std::uintptr_t>(stack) + bytes) / 16 * 16;
    s.sp = reinterpret_cast<void **>(top) - 8;
    for (int i = 0; i < 8; i++)
        s.sp[i] = nullptr;
    s.sp[6] = reinterpret_cast<void *>(body);
}

inline void strand_change(strand &from, strand &to)
{
    emulation_change(&from.sp, to.sp);
}

#else
#include <ucontext.h>

struct strand {
    ucontext_t context;
};
#define EMULATION_CHANGE static_assert(true, "")

inline void strand_make(strand &s, char *stack, std::size_t bytes, void (*body)())
{
    getcontext(&s.context);
    s.context.uc_stack.ss_sp = stack;
    s.context.uc_stack.ss_size = bytes;
    s.context.uc_link = nullptr;
    makecontext(&s.context, body, 0);
}

inline void strand_change(strand &from, strand &to)
{
    swapcontext(&from.context, &to.context);
}

#endif
#endif
