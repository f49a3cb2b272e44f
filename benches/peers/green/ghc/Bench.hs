{-# LANGUAGE BangPatterns #-}
-- The workloads with GHC's green threads and MVars. "+RTS -N" is the number of carriers.
module Main (main) where

import Control.Concurrent
import Control.Exception (evaluate)
import Control.Monad
import Data.Bits
import Data.IORef
import Data.Word
import System.CPUTime
import System.Environment
import System.IO
import System.Mem (performGC)
import GHC.Clock (getMonotonicTimeNSec)

rss :: IO Double
rss = do
  s <- readFile "/proc/self/statm"
  let v = read (words s !! 1) :: Double
  v `seq` return (v * 4096)

-- fixed notation without pulling in printf's cost or exponents
out :: String -> Double -> IO ()
out k v = putStrLn (k ++ " " ++ show (fromIntegral (round (v * 1000) :: Integer) `div'` 1000)) >> hFlush stdout
  where div' :: Double -> Double -> Double
        div' a b = a / b

now :: IO Double
now = fromIntegral <$> getMonotonicTimeNSec

perOp :: Double -> Int -> IO ()
perOp t n = now >>= \u -> out "ns" ((u - t) / fromIntegral n)

msSince :: Double -> IO ()
msSince t = now >>= \u -> out "ms" ((u - t) / 1e6)

check :: Bool -> IO ()
check ok = unless ok (error "wrong result")

fib :: Int -> Int
fib n = if n < 2 then n else fib (n - 1) + fib (n - 2)
{-# NOINLINE fib #-}

work :: String -> Int -> IO ()
work "spawn_batch" n = do
  t <- now
  vs <- forM [1 .. n] $ \i -> do
    v <- newEmptyMVar
    _ <- forkIO (putMVar v $! i)
    return v
  s <- foldM (\ !a v -> (a +) <$> takeMVar v) 0 vs
  check (s == n * (n + 1) `div` 2)
  perOp t n
work "spawn_seq" n = do
  t <- now
  let go !i !s | i > n = return s
               | otherwise = do
                   v <- newEmptyMVar
                   _ <- forkIO (putMVar v $! i)
                   x <- takeMVar v
                   go (i + 1) (s + x)
  s <- go 1 0
  check (s == n * (n + 1) `div` 2)
  perOp t n
work "parked_sleep" n = parked n (threadDelay 3600000000)
work "parked_chan" n = do
  gate <- newEmptyMVar :: IO (MVar ())
  parked n (takeMVar gate)
  putMVar gate ()
work "pingpong" n = pingpong n
work "yield" n = do
  t <- now
  ds <- forM [1, 2 :: Int] $ \_ -> do
    d <- newEmptyMVar
    _ <- forkIO (replicateM_ n yield >> putMVar d ())
    return d
  mapM_ takeMVar ds
  perOp t (2 * n)
work "skynet" n = do
  t <- now
  c <- newEmptyMVar
  _ <- forkIO (sky c 0 n)
  s <- takeMVar c
  check (s == n * (n - 1) `div` 2)
  msSince t
work "ring" n = do
  let k = 503
  t <- now
  done <- newEmptyMVar
  ms <- replicateM k newEmptyMVar
  ts <- forM (zip3 [0 ..] ms (tail ms ++ [head ms])) $ \(i, a, b) ->
    let go = do
          v <- takeMVar a
          if v == 0 then putMVar done (i :: Int) else do
            putMVar b $! (v - 1 :: Int)
            go
    in forkIO go
  putMVar (head ms) n
  who <- takeMVar done
  check (who == n `mod` k)
  perOp t n
  mapM_ killThread ts
work "many2one" n = do  -- one MVar slot shared by all producers
  let per = n `div` 100
  v <- newEmptyMVar
  t <- now
  forM_ [1 .. 100] $ \p -> forkIO (forM_ [1 .. per] $ \i -> putMVar v $! (p + i))
  let go :: Int -> Int -> IO Int
      go 0 !s = return s
      go c !s = do { x <- takeMVar v; go (c - 1) (s + x) }
  _ <- go (per * 100) 0
  perOp t n
work "timers" n = do
  t <- now
  c0 <- getCPUTime
  x <- newIORef (12345 :: Word32)
  left <- newMVar n
  done <- newEmptyMVar
  replicateM_ n $ do
    modifyIORef' x (\v -> v * 1664525 + 1013904223)
    v <- readIORef x
    let d = fromIntegral ((v `shiftR` 8) `mod` 1000) * 1000
    forkIO $ do
      threadDelay d
      r <- modifyMVar left (\l -> let l' = l - 1 in l' `seq` return (l', l'))
      when (r == 0) (putMVar done ())
  takeMVar done
  msSince t
  c1 <- getCPUTime
  out "cpu_ms" (fromIntegral (c1 - c0) / 1e9)
  r <- rss
  out "rss_mb" (r / 1e6)
work "par" k = do
  t <- now
  ds <- forM [1 .. 64 :: Int] $ \j -> do
    d <- newEmptyMVar
    -- the shift is zero; it keeps the compiler from sharing one result
    _ <- forkIO (evaluate (fib (k + (j `shiftR` 40))) >>= putMVar d)
    return d
  mapM_ takeMVar ds
  msSince t
work w _ = error ("unknown workload " ++ w)

sky :: MVar Int -> Int -> Int -> IO ()
sky c num 1 = putMVar c num
sky c num size = do
  r <- newEmptyMVar
  let step = size `div` 10
  forM_ [0 .. 9] $ \i -> forkIO (sky r (num + i * step) step)
  s <- foldM (\ !a _ -> (a +) <$> takeMVar r) 0 [1 .. 10 :: Int]
  putMVar c s

parked :: Int -> IO () -> IO ()
parked n act = do
  b <- rss
  t <- now
  keep <- replicateM n (forkIO act)
  v <- newEmptyMVar
  _ <- forkIO (putMVar v ())
  takeMVar v
  u <- now
  out "create_ms" ((u - t) / 1e6)
  r <- rss
  out "bytes_per" ((r - b) / fromIntegral n)
  out "rss_mb" (r / 1e6)
  t2 <- now
  performGC
  u2 <- now
  out "gc_ms" ((u2 - t2) / 1e6)
  g <- rss
  out "bytes_per_gc" ((g - b) / fromIntegral n)
  check (length keep == n)

pingpong :: Int -> IO ()
pingpong n = do
  a <- newEmptyMVar
  b <- newEmptyMVar
  end <- newEmptyMVar
  p <- forkIO (forever (takeMVar a >>= \v -> putMVar b $! (v + 1 :: Int)))
  _ <- forkIO $ do
    t <- now
    let go 0 !v = return v
        go i !v = do { putMVar a v; x <- takeMVar b; go (i - 1 :: Int) x }
    v <- go n 0
    check (v == n)
    perOp t (2 * n)
    putMVar end ()
  takeMVar end
  killThread p

main :: IO ()
main = do
  hSetBuffering stdout LineBuffering
  (w : n : _) <- getArgs
  reps <- maybe 1 read <$> lookupEnv "REPS"
  runInUnboundThread (replicateM_ reps (work w (read n)))  -- the main thread is a bound OS thread
