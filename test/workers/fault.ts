/** Loaded into every process of a server by `--import`: a signal makes a process meet a bug. */
process.on('SIGUSR2', () => {
  void Promise.reject(Object.assign(new Error('a bug that a test has made'), { authorization: 'Bearer secret' }))
})
