#pragma once

/*
 * Words to the service manager (sd_notify(3)), which never wait. SPDX-License-Identifier: Apache-2.0
 *
 * sd_notify() itself blocks while nobody reads the socket and its queue is full.
 */

#include "lib/attr.h"

/* NAME=VALUE lines. 0, also without a service manager; or -errno, -EAGAIN when its queue is full. */
int notify_send(const char *text) must_check;
