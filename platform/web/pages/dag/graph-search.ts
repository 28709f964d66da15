/** What the graph and the code tab keep in the address. */
export const graphSearch = {} as const;
