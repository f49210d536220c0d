# Reset entry of the pump controller: hart 0 gets a stack and a clear .bss, any other hart sleeps.
# QEMU `virt` with `-bios none` begins at 0x80000000, where pump.ld puts this section.

        .section .text.start, "ax", @progbits
        .globl  _start
        .type   _start, @function
_start:
        .cfi_startproc
        .cfi_undefined ra               # the outermost frame: backtraces end here
        csrr    t0, mhartid
        bnez    t0, park

        .option push
        .option norelax
        la      gp, __global_pointer$
        .option pop
        la      sp, stack_top

        la      t0, bss_start
        la      t1, bss_end
clear:
        bgeu    t0, t1, run
        sw      zero, 0(t0)
        addi    t0, t0, 4
        j       clear
run:
        call    main
park:
        wfi
        j       park
        .cfi_endproc
        .size   _start, . - _start
