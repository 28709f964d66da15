export type Order = { id: number; price: string };
export const cents = (order: Order): number => Math.round(Number(order.price) * 100);
