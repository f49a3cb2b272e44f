%% The workloads with BEAM processes. "+S N:N" is the number of carriers.
-module(bench).
-export([main/0, fib/1, sky/3, hib_park/0]).

main() ->
    W = list_to_atom(os:getenv("W")),
    N = list_to_integer(os:getenv("N", "0")),
    Reps = list_to_integer(os:getenv("REPS", "1")),
    Me = self(),
    %% run in a fresh process so that one repetition's heap does not tax the next
    lists:foreach(fun(_) ->
        {P, R} = spawn_opt(fun() -> go(W, N), Me ! done end, [monitor, {min_heap_size, 4000}, {message_queue_data, off_heap}]),
        receive done -> ok; {'DOWN', R, process, P, normal} -> ok;
                {'DOWN', R, process, P, Why} -> io:format("fail ~p~n", [Why]), halt(1) end,
        erlang:demonitor(R, [flush]), flush()
    end, lists:seq(1, Reps)),
    halt(0).

flush() -> receive _ -> flush() after 0 -> ok end.

now_ns() -> erlang:monotonic_time(nanosecond).
out(K, V) -> io:format("~s ~.3f~n", [K, V / 1]).
per_op(T, N) -> out("ns", (now_ns() - T) / N).
ms(T) -> out("ms", (now_ns() - T) / 1.0e6).
rss() ->
    {ok, B} = file:read_file("/proc/self/statm"),
    [_, R | _] = string:lexemes(binary_to_list(B), " "),
    list_to_integer(R) * 4096.

cpu_ms() ->
    {ok, B} = file:read_file("/proc/self/stat"),
    [_, Rest] = string:split(binary_to_list(B), ")", trailing),
    F = string:lexemes(Rest, " "),
    (list_to_integer(lists:nth(12, F)) + list_to_integer(lists:nth(13, F))) * 10.

go(spawn_batch, N) ->
    T = now_ns(), Me = self(),
    spawn_n(0, N, Me),
    S = collect(N, 0),
    S = N * (N + 1) div 2,
    per_op(T, N);
go(spawn_seq, N) ->
    T = now_ns(), Me = self(),
    S = seq(0, N, Me, 0),
    S = N * (N + 1) div 2,
    per_op(T, N);
go(parked_sleep, N) -> parked(N, fun() -> receive after 3600000 -> ok end end);
go(parked_chan, N) -> parked(N, fun() -> receive x -> ok end end);
go(parked_hibernate, N) -> parked(N, fun() -> erlang:hibernate(?MODULE, hib_park, []) end);
go(pingpong, N) -> pingpong(N);
go(yield, N) ->
    T = now_ns(), Me = self(),
    [spawn(fun() -> yl(N), Me ! ok end) || _ <- [1, 2]],
    [receive ok -> ok end || _ <- [1, 2]],
    per_op(T, 2 * N);
go(skynet, N) ->
    T = now_ns(), Me = self(),
    spawn(?MODULE, sky, [Me, 0, N]),
    Want = N * (N - 1) div 2,
    receive {sum, Want} -> ok end,
    ms(T);
go(ring, N) ->
    T = now_ns(), Me = self(), K = 503,
    First = spawn(fun() -> receive {next, P} -> node_loop(0, P, Me) end end),
    Last = lists:foldl(fun(I, Next) -> spawn(fun() -> node_loop(I, Next, Me) end) end,
                       First, lists:seq(K - 1, 1, -1)),
    First ! {next, Last},
    First ! N,
    Who = N rem K,
    receive {winner, Who} -> ok end,
    per_op(T, N),
    First ! stop;
go(many2one, N) ->
    Per = N div 100, Me = self(), T = now_ns(),
    [spawn(fun() -> produce(Me, P, Per) end) || P <- lists:seq(1, 100)],
    consume(Per * 100),
    per_op(T, N);
go(timers, N) ->
    T = now_ns(), C0 = cpu_ms(), Me = self(),
    tspawn(N, 12345, Me),
    wait_n(N),
    ms(T),
    out("cpu_ms", cpu_ms() - C0),
    out("rss_mb", rss() / 1.0e6);
go(par, K) ->
    T = now_ns(), Me = self(),
    [spawn(fun() -> Me ! {r, fib(K)} end) || _ <- lists:seq(1, 64)],
    [receive {r, _} -> ok end || _ <- lists:seq(1, 64)],
    ms(T).

spawn_n(N, N, _) -> ok;
spawn_n(I, N, Me) -> J = I + 1, spawn(fun() -> Me ! J end), spawn_n(J, N, Me).
collect(0, S) -> S;
collect(N, S) -> receive V -> collect(N - 1, S + V) end.
seq(N, N, _, S) -> S;
seq(I, N, Me, S) ->
    J = I + 1, spawn(fun() -> Me ! J end),
    receive V -> seq(J, N, Me, S + V) end.

hib_park() -> receive x -> ok end.

parked(N, F) ->
    B = rss(), M0 = erlang:memory(total), T = now_ns(), Me = self(),
    pspawn(N, F),
    spawn(fun() -> Me ! up end), receive up -> ok end,
    out("create_ms", (now_ns() - T) / 1.0e6),
    timer:sleep(500),
    out("bytes_per", (rss() - B) / N),
    out("used_per", (erlang:memory(total) - M0) / N),
    out("rss_mb", rss() / 1.0e6).
pspawn(0, _) -> ok;
pspawn(N, F) -> spawn(F), pspawn(N - 1, F).

pingpong(N) ->
    Me = self(),
    spawn(fun() ->
        B = spawn(fun() -> pong() end),
        T = now_ns(),
        N = ping(B, N, 0),
        per_op(T, 2 * N),
        B ! stop, Me ! ok
    end),
    receive ok -> ok end.
ping(_, 0, V) -> V;
ping(B, N, V) -> B ! {self(), V}, receive X when is_integer(X) -> ping(B, N - 1, X) end.
pong() -> receive {P, V} -> P ! V + 1, pong(); stop -> ok end.

yl(0) -> ok;
yl(N) -> erlang:yield(), yl(N - 1).

sky(P, Num, 1) -> P ! {sum, Num};
sky(P, Num, Size) ->
    Step = Size div 10, Me = self(),
    [spawn(?MODULE, sky, [Me, Num + I * Step, Step]) || I <- [0,1,2,3,4,5,6,7,8,9]],
    P ! {sum, sky_sum(10, 0)}.
sky_sum(0, S) -> S;
sky_sum(N, S) -> receive {sum, V} -> sky_sum(N - 1, S + V) end.

node_loop(I, Next, Me) ->
    receive
        stop -> Next ! stop, ok;
        0 -> Me ! {winner, I}, node_loop(I, Next, Me);
        V -> Next ! V - 1, node_loop(I, Next, Me)
    end.

produce(_, _, 0) -> ok;
produce(C, P, N) -> C ! P + N, produce(C, P, N - 1).
consume(0) -> ok;
consume(N) -> receive _ -> consume(N - 1) end.

tspawn(0, _, _) -> ok;
tspawn(N, X0, Me) ->
    X = (X0 * 1664525 + 1013904223) band 16#ffffffff,
    Ms = (X bsr 8) rem 1000,
    spawn(fun() -> receive after Ms -> Me ! t end end),
    tspawn(N - 1, X, Me).
wait_n(0) -> ok;
wait_n(N) -> receive t -> wait_n(N - 1) end.

fib(N) when N < 2 -> N;
fib(N) -> fib(N - 1) + fib(N - 2).
