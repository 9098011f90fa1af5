#pragma once

#include <doctest/doctest.h>

#include "support/client.hpp"
#include "support/exchange.hpp"
#include "support/files.hpp"
#include "support/process.hpp"
#include "support/server.hpp"
#include "support/standstills.hpp"
