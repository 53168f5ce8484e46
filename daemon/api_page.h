#pragma once

/*
 * The status page over HTTP. SPDX-License-Identifier: Apache-2.0
 *
 * For the routes "/" and "/page/" followed by the name of a file.
 */

#include "lib/httpd.h"

void api_page(void *arg, struct httpd_request *request);
