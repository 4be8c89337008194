/** What devices told of themselves, and when they are asked for it. */
export { createInventory, INVENTORY_FACTS, type Inventory } from './inventory.ts'
export { DEVICE_QUERIES } from './asking/questions.ts'
