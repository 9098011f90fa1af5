-- Sixteen requests a write; wrk counts each answer.
local requests = string.rep("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 16)
request = function() return requests end
