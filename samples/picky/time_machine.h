/* com.example.time-machine/1, a capability that a vendor might add to a server of its own. */
#ifndef TIME_MACHINE_H
#define TIME_MACHINE_H

#include <stdint.h>

#define TIME_MACHINE_CAPABILITY "com.example.time-machine/1"

typedef struct time_machine {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */

  /* Which year it is where the machine is. [any-thread] */
  int32_t (*year)(void);
} time_machine;

#endif
