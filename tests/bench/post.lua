-- One million bytes a request, built once.
wrk.method = "POST"
wrk.body = string.rep("x", 1000000)
