# The debug session of the demo: finds out why the pump is in alarm, and fixes it while it runs. gdb
# is already connected (`target remote ...` or `target extended-remote | ...`). The pump may be just
# reset or running for hours. expected.txt has the answers that gdb must give, in this order.

set pagination off
set confirm off
set width 0

echo ==01 breakpoint==\n
break pump_step if p->state == PUMP_ALARM && setpoint_kpa > p->config.max_kpa
continue
print pump.state
print setpoint_kpa > pump.config.max_kpa

echo ==02 struct==\n
set print pretty on
print pump
ptype struct sensor
print pump.outlet
set print pretty off
delete

echo ==03 backtrace of a recursion==\n
break history_sum if len == 1 && first == 5
continue
backtrace
info args
frame function sensor_read
info locals
print *sensor
frame 0
delete

echo ==04 finish==\n
finish
finish

echo ==05 step==\n
tbreak sensor_read
continue
step
next
step

echo ==06 registers==\n
info registers
print (unsigned long)$sp > (unsigned long)&bss_end && (unsigned long)$sp <= (unsigned long)&stack_top
x/3i $pc
print ticks > 0

echo ==07 watchpoint==\n
watch setpoint_kpa if setpoint_kpa > pump.config.max_kpa
continue
backtrace
print setpoint_kpa == pump.outlet.counts

echo ==08 cause==\n
x/9dw &history
print &history.counts[history_last] == &setpoint_kpa
print history_last
print sizeof(history.counts) / sizeof(history.counts[0])
delete

echo ==09 fix==\n
set var history_last = 7
print history_last
watch pump.state
continue
backtrace
delete

echo ==10 recovered==\n
tbreak panel_poll
continue
tbreak panel_poll
continue
print pump.state
print setpoint_kpa
print history_next <= history_last
print pump

echo ==11 marker==\n
print pump_marker
x/s pump_marker
x/8xw pump_marker

echo ==12 leave==\n
detach
echo ==end==\n
